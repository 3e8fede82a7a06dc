"""Rows into shards: render, count tokens, cut what is too long, pack.

Synchronous on purpose: it is CPU work that the engine runs in a thread, a little at a time, so that
the first request leaves while most of the input is still unread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from batcher.core.errors import InputError, KindFailed, RowError
from batcher.core.job.fingerprint import CONTENT_BYTES, content
from batcher.core.kind import BoundKind, Overlong
from batcher.core.limits import RequestLimits
from batcher.core.model import BadRow, DeadLetter, InputRow, Prompt, RowId
from batcher.core.packing import ShardPacker
from batcher.engine.planning.planned_row import PlannedRow
from batcher.engine.planning.rendering import Rendering
from batcher.engine.planning.token_count import TokenCount
from batcher.engine.reuse.strategy import AskedRow, CallNeeded, PlannedShard, Reuse
from batcher.engine.shards.payload import Keep, ShardPlan, encode_columns, encode_plan
from batcher.ports import (
    Carried,
    InputSource,
    NewShard,
    NoGuard,
    RowGuard,
    Tokenizer,
)


class Planner:
    """The plan of one job, from a row on: an iterator of shards."""

    def __init__(
        self,
        *,
        source: InputSource,
        bound: BoundKind,
        kind: str,
        tokenizer: Tokenizer,
        limits: RequestLimits,
        rows: int,
        next_row: int,
        next_shard: int,
        row_ids: bool,
        keep_records: bool,
        recipe: str,
        keep_arrow: bool = False,
        reuse: Reuse | None = None,
        guard: RowGuard | None = None,
    ) -> None:
        """``rows`` is where to stop; ``row_ids`` whether row numbers serve as ids.

        ``keep_arrow``: what is kept of the records, if anything, keeps its Arrow types.
        ``kind`` is the kind's name; ``recipe`` is what contents are hashed under; ``reuse``
        says which rows need no call; ``guard`` keeps the time of each row.
        """
        self._rendering = Rendering(bound, kind, guard or NoGuard(), any_before=next_row > 0)
        self._recipe = bytes.fromhex(recipe)
        self._reuse = reuse
        self._bound = bound
        self._kind = kind
        self._tokenizer = tokenizer
        self._count = TokenCount(bound, tokenizer)
        self._limits = limits
        self._rows = rows
        self._row_ids = row_ids
        self._keep = Keep.NOTHING
        if keep_records:
            self._keep = Keep.ARROW if keep_arrow else Keep.PLAIN
        self._next_row = next_row
        self._next_shard = next_shard
        self._prepared = self._prepare(source)
        self._ahead: PlannedRow | None = None
        self._failure: Exception | None = None
        self._input_sha256: str | None = None

    def next_shard(self) -> PlannedShard | None:
        """Plan one more shard; None when all rows are planned."""
        shard = _ShardInMaking(
            self._next_row, self._limits, split=self._bound.overlong is Overlong.SPLIT
        )
        while (row := self._ahead or next(self._prepared, None)) is not None:
            self._ahead = None
            sent = row.place is None
            if shard.packer.rows and not shard.packer.takes(row.tokens, sent=sent):
                self._ahead = row
                break
            shard.add(row)
        if not shard.packer.rows:
            return None
        self._next_row += shard.packer.rows
        self._next_shard += 1
        return shard.finish(self._next_shard - 1, row_ids=self._row_ids, keep=self._keep)

    def next_shards(self, rows: int, size_bytes: int) -> list[PlannedShard]:
        """Plan shards until they have so many rows or bytes together; none when all are planned.

        What fails behind a shard that is planned already is raised at the next call.
        """
        if self._failure is not None:
            raise self._failure
        shards: list[PlannedShard] = []
        while rows > 0 and size_bytes > 0:
            try:
                planned = self.next_shard()
            except Exception as error:
                if not shards:
                    raise
                self._failure = error
                break
            if planned is None:
                break
            shards.append(planned)
            rows -= planned.shard.rows
            size_bytes -= planned.shard.size_bytes
        return shards

    def stop(self) -> None:
        """End what is being planned, from any thread; what is to be planned raises GuardStopped."""
        self._rendering.stop()

    @property
    def next_row(self) -> int:
        """The first row that is in no shard yet."""
        return self._next_row

    @property
    def input_sha256(self) -> str | None:
        """The hash of the input as it was read; None where its end was not reached."""
        return self._input_sha256

    def _prepare(self, source: InputSource) -> Iterator[PlannedRow]:
        """Rows with their pieces, rendered and counted a batch at a time."""
        left = self._rows - self._next_row
        for batch in source.rows(self._next_row):
            if left <= 0:
                break
            yield from self._prepare_batch(batch[:left])
            left -= len(batch)
        else:
            self._input_sha256 = source.sha256()

    def _prepare_batch(self, batch: Sequence[InputRow | BadRow]) -> Iterator[PlannedRow]:
        planned = [self._render(row) for row in batch]
        if self._reuse is not None:
            self._ask(planned, self._reuse)
        live = [entry for entry in planned if entry.prompts and entry.place is None]
        counts = self._count.of([entry.prompts[0] for entry in live])
        for entry, count in zip(live, counts, strict=True):
            entry.tokens = [count]
            if count > self._limits.max_input_tokens:
                self._shorten(entry, count)
        return iter(planned)

    def _render(self, row: InputRow | BadRow) -> PlannedRow:
        """The row with its texts, or with the reason why it has none."""
        if isinstance(row, BadRow):
            entry = PlannedRow(row.number, row.id, None)
            entry.bad = True
            return entry.fail(row.code, row.message)
        entry = PlannedRow(row.number, row.id, row.record, row.arrow)
        try:
            prompt, blank = self._rendering.render(row.record)
        except RowError as error:
            return entry.fail(error.code, str(error))
        try:
            entry.content = content(self._recipe, prompt)
        except UnicodeEncodeError:
            return entry.fail(
                "not_unicode", "the row's text has half of a surrogate pair, which cannot be sent"
            )
        if blank:
            return entry.fail("empty_input", "the row's text is empty")
        entry.prompts = [prompt]
        return entry

    def _content(self, prompt: Prompt) -> bytes:
        """The hash of what is asked; a prompt that is none is the kind's fault."""
        try:
            return content(self._recipe, prompt)
        except Exception as error:
            raise KindFailed.raised(self._kind, "render", error) from error

    def _ask(self, planned: Sequence[PlannedRow], reuse: Reuse) -> None:
        """Say of each row whether its result is there already, and what it was before if not."""
        entries = [entry for entry in planned if not entry.bad]
        asked = [
            AskedRow(
                entry.number if self._row_ids else entry.id, entry.content, bool(entry.prompts)
            )
            for entry in entries
        ]
        for entry, answer in zip(entries, reuse.decide(asked), strict=True):
            if isinstance(answer, CallNeeded):
                entry.before = answer
            elif max(answer.tokens) > self._limits.max_input_tokens:
                entry.before = CallNeeded.CHANGED  # too long by now, and cut or refused like others
            else:
                entry.reuse(answer)

    def _shorten(self, entry: PlannedRow, count: int) -> None:
        """Do with an over-long row what its kind says."""
        limit = self._limits.max_input_tokens
        if self._bound.overlong is Overlong.ERROR:
            entry.fail("input_too_long", f"the row has {count} tokens; at most {limit} are allowed")
            return
        (text,) = entry.prompts[0]
        chunks = self._tokenizer.chunks(text, limit - self._count.added)
        if self._bound.overlong is Overlong.TRUNCATE:
            chunks = chunks[:1]
        kept = [chunk for chunk in chunks if text[chunk[0] : chunk[1]].strip()]
        entry.prompts = [(text[start:end],) for start, end, _ in kept]
        entry.tokens = [tokens + self._count.added for _, _, tokens in kept]
        entry.spans = [(start, end) for start, end, _ in kept]


class _ShardInMaking:
    """A shard being filled."""

    def __init__(self, first_row: int, limits: RequestLimits, *, split: bool) -> None:
        """``split``: records say which part of a text they are of, uncut ones, too."""
        self.packer = ShardPacker(limits=limits)
        self._first_row = first_row
        self._ids: list[RowId | None] = []
        self._records: list[Mapping[str, Any] | None] = []
        self._arrows: list[tuple[Any, int] | None] = []
        self._piece_rows: list[int] = []
        self._prompts: list[Prompt] = []
        self._chunks: list[tuple[int, int, int]] = []
        self._chunked = split
        self._dead: list[DeadLetter] = []
        self._contents = bytearray()
        self._carried: list[int] = []
        self._places: list[Hashable] = []
        self._before: Counter[CallNeeded] = Counter()

    def add(self, row: PlannedRow) -> None:
        """Take a row in, dead or alive."""
        number = self.packer.rows
        characters = 0
        for chunk, (*_, last) in enumerate(row.prompts):
            characters += len(last)
            self._piece_rows.append(number)
            span = (0, len(last)) if row.spans is None else row.spans[chunk]
            self._chunks.append((chunk, *span))
        self._chunked |= row.spans is not None
        self._prompts += row.prompts
        self._ids.append(row.id)
        self._records.append(row.record)
        self._arrows.append(row.arrow)
        if row.dead is not None:
            self._dead.append(row.dead)
        self._contents += row.content or bytes(CONTENT_BYTES)
        if row.place is None:
            if row.before is not CallNeeded.NEW:
                self._before[row.before] += 1
        else:
            first = len(self.packer.tokens)
            self._carried += range(first, first + len(row.tokens))
            self._places.append(row.place)
        self.packer.add(row.tokens, characters, sent=row.place is None)

    def finish(self, ordinal: int, *, row_ids: bool, keep: Keep) -> PlannedShard:
        """The shard as the store takes it."""
        packer = self.packer
        plan = ShardPlan(
            first_row=self._first_row,
            rows=packer.rows,
            ids=None if row_ids else self._ids,
            piece_rows=self._piece_rows,
            tokens=packer.tokens,
            starts=packer.starts,
            chunks=self._chunks if self._chunked else None,
            contents=bytes(self._contents),
        )
        carried = None
        if self._places:
            pieces, rows = tuple(self._carried), len(self._places)
            carried = Carried(pieces=pieces, rows=rows, results=b"")
        shard = NewShard(
            ordinal=ordinal,
            first_row=self._first_row,
            rows=packer.rows,
            pieces=len(packer.tokens),
            requests=len(packer.starts),
            plan=encode_plan(plan, self._prompts),
            columns=encode_columns(keep, self._records, self._arrows),
            dead=tuple(self._dead),
            carried=carried,
            rows_changed=self._before[CallNeeded.CHANGED],
            rows_failed_before=self._before[CallNeeded.FAILED_BEFORE],
        )
        return PlannedShard(shard=shard, places=self._places, prompts=self._prompts)


def check_unchanged(name: str, read: str | None, sha256: str | None, *, all_rows: bool) -> None:
    """Compare what planning read of the input ``name`` with what the check read, by their hashes.

    ``sha256`` is the check's, None where the plan ends before the input does.

    Raises:
        InputError: the input changed in between.
    """
    if not all_rows or (sha256 is not None and read != sha256):
        raise InputError(
            "the input changed while it was being read; run again when it no longer changes",
            source=name,
        )
