"""Rows into shards: render, count tokens, cut what is too long, pack.

Synchronous on purpose: it is CPU work that the engine runs in a thread, one shard at a time, so
that the first request leaves while most of the input is still unread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batcher.core.errors import InputError, RowError
from batcher.core.kind import BoundKind, Endpoint, Overlong
from batcher.core.limits import RequestLimits
from batcher.core.model import BadRow, DeadLetter, InputRow, Prompt, RowId
from batcher.core.packing import ShardPacker
from batcher.engine.payload import ShardPlan, encode_plan, encode_records
from batcher.ports import InputSource, NewShard, Tokenizer

# OpenAI's cookbook, "How to count tokens with tiktoken": 3 tokens a message and its role, and 3
# that prime the reply.
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_REPLY = 3


class TokenCount:
    """Tokens of prompts as a kind sends them: the texts, and what frames them."""

    def __init__(self, bound: BoundKind, tokenizer: Tokenizer) -> None:
        """``bound`` says what every request carries besides its prompts."""
        self._tokenizer = tokenizer
        self._framed = bound.endpoint is Endpoint.CHAT
        fixed = sum(tokenizer.count(bound.fixed_texts)) if bound.fixed_texts else 0
        frame = _TOKENS_PER_REPLY + _TOKENS_PER_MESSAGE * len(bound.fixed_texts)
        self.fixed = fixed + frame if self._framed else fixed

    def of(self, prompts: Sequence[Prompt]) -> list[int]:
        """Tokens of one request for each prompt."""
        if all(len(prompt) == 1 for prompt in prompts):
            counts = self._tokenizer.count([prompt[0] for prompt in prompts])
            extra = self.fixed + (_TOKENS_PER_MESSAGE if self._framed else 0)
            return [count + extra for count in counts] if extra else counts
        each = iter(self._tokenizer.count([text for prompt in prompts for text in prompt]))
        return [
            self.fixed + sum(next(each) + _TOKENS_PER_MESSAGE for _ in prompt) for prompt in prompts
        ]


class Planner:
    """The plan of one job, from a row on: an iterator of shards."""

    def __init__(
        self,
        *,
        source: InputSource,
        bound: BoundKind,
        tokenizer: Tokenizer,
        limits: RequestLimits,
        rows: int,
        next_row: int,
        next_shard: int,
        row_ids: bool,
        keep_records: bool,
    ) -> None:
        """``rows`` is where to stop; ``row_ids`` whether row numbers serve as ids."""
        self._bound = bound
        self._tokenizer = tokenizer
        self._count = TokenCount(bound, tokenizer)
        self._limits = limits
        self._rows = rows
        self._row_ids = row_ids
        self._keep_records = keep_records
        self._next_row = next_row
        self._next_shard = next_shard
        self._prepared = self._prepare(source)
        self._ahead: _PlannedRow | None = None

    def next_shard(self) -> NewShard | None:
        """Plan one more shard; None when all rows are planned."""
        shard = _ShardInMaking(self._next_row, self._limits)
        while (row := self._ahead or next(self._prepared, None)) is not None:
            self._ahead = None
            if shard.packer.rows and not shard.packer.takes(row.tokens):
                self._ahead = row
                break
            shard.add(row)
        if not shard.packer.rows:
            return None
        self._next_row += shard.packer.rows
        self._next_shard += 1
        return shard.finish(
            self._next_shard - 1, row_ids=self._row_ids, keep_records=self._keep_records
        )

    @property
    def next_row(self) -> int:
        """The first row that is in no shard yet."""
        return self._next_row

    def _prepare(self, source: InputSource) -> Iterator[_PlannedRow]:
        """Rows with their pieces, rendered and counted a batch at a time."""
        left = self._rows - self._next_row
        for batch in source.rows(self._next_row):
            if left <= 0:
                break  # only here: a source that is read to its end knows its hash
            yield from self._prepare_batch(batch[:left])
            left -= len(batch)

    def _prepare_batch(self, batch: Sequence[InputRow | BadRow]) -> Iterator[_PlannedRow]:
        planned: list[_PlannedRow] = []
        live: list[_PlannedRow] = []
        for row in batch:
            if isinstance(row, BadRow):
                planned.append(_PlannedRow(row.number, row.id, None).fail(row.code, row.message))
                continue
            entry = _PlannedRow(row.number, row.id, row.record)
            planned.append(entry)
            try:
                entry.prompts = [self._bound.render(row.record)]
            except RowError as error:
                entry.fail(error.code, str(error))
                continue
            if any(text.strip() for text in entry.prompts[0]):
                live.append(entry)
            else:
                entry.fail("empty_input", "the row's text is empty")
        counts = self._count.of([entry.prompts[0] for entry in live])
        for entry, count in zip(live, counts, strict=True):
            entry.tokens = [count]
            if count > self._limits.max_input_tokens:
                self._shorten(entry, count)
        return iter(planned)

    def _shorten(self, entry: _PlannedRow, count: int) -> None:
        """Do with an over-long row what its kind says."""
        limit = self._limits.max_input_tokens
        if self._bound.overlong is Overlong.ERROR:
            entry.fail("input_too_long", f"the row has {count} tokens; at most {limit} are allowed")
            return
        (text,) = entry.prompts[0]
        chunks = self._tokenizer.chunks(text, limit - self._count.fixed)
        if self._bound.overlong is Overlong.TRUNCATE:
            chunks = chunks[:1]
        kept = [chunk for chunk in chunks if text[chunk[0] : chunk[1]].strip()]
        entry.prompts = [(text[start:end],) for start, end, _ in kept]
        entry.tokens = [tokens + self._count.fixed for _, _, tokens in kept]
        entry.spans = [(start, end) for start, end, _ in kept]


class _PlannedRow:
    """One row on its way into a shard."""

    __slots__ = ("dead", "id", "number", "prompts", "record", "spans", "tokens")

    def __init__(self, number: int, row_id: RowId | None, record: Mapping[str, Any] | None) -> None:
        self.number = number
        self.id = row_id
        self.record = record
        self.prompts: list[Prompt] = []
        self.tokens: list[int] = []
        self.spans: list[tuple[int, int]] | None = None
        self.dead: DeadLetter | None = None

    def fail(self, code: str, message: str) -> _PlannedRow:
        """Make the row a dead letter: it sends nothing, now or at any retry."""
        self.prompts = []
        self.tokens = []
        self.dead = DeadLetter(
            row=self.number, chunk=0, id=self.id, code=code, message=message, attempts=0, final=True
        )
        return self


class _ShardInMaking:
    """A shard being filled."""

    def __init__(self, first_row: int, limits: RequestLimits) -> None:
        self.packer = ShardPacker(limits=limits)
        self._first_row = first_row
        self._ids: list[RowId | None] = []
        self._records: list[Mapping[str, Any] | None] = []
        self._piece_rows: list[int] = []
        self._prompts: list[Prompt] = []
        self._chunks: list[tuple[int, int, int]] = []
        self._chunked = False
        self._dead: list[DeadLetter] = []

    def add(self, row: _PlannedRow) -> None:
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
        if row.dead is not None:
            self._dead.append(row.dead)
        self.packer.add(row.tokens, characters)

    def finish(self, ordinal: int, *, row_ids: bool, keep_records: bool) -> NewShard:
        """The shard as the store takes it."""
        packer = self.packer
        plan = ShardPlan(
            first_row=self._first_row,
            rows=packer.rows,
            ids=None if row_ids else self._ids,
            piece_rows=self._piece_rows,
            prompts=self._prompts,
            tokens=packer.tokens,
            starts=packer.starts,
            chunks=self._chunks if self._chunked else None,
        )
        return NewShard(
            ordinal=ordinal,
            first_row=self._first_row,
            rows=packer.rows,
            pieces=len(packer.tokens),
            requests=len(packer.starts),
            payload=encode_plan(plan),
            columns=encode_records(self._records) if keep_records else None,
            dead=tuple(self._dead),
        )


def check_unchanged(source: InputSource, sha256: str | None, *, all_rows: bool) -> None:
    """Compare what planning read with what the check read; no hash where it stopped before the end.

    Raises:
        InputError: the input changed in between.
    """
    if not all_rows or (sha256 is not None and source.sha256() != sha256):
        raise InputError(
            "the input changed while it was being read; run again once it is at rest",
            source=source.name,
        )
