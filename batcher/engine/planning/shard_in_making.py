"""A shard being filled: rows one after the other, until the packer takes no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, Overlong
from batcher.core.limits import RequestLimits
from batcher.core.model import DeadLetter, Prompt, RowId
from batcher.core.packing import ShardPacker
from batcher.core.row.asked import TEXTS_ALONE, Asked, OwnRequest
from batcher.core.row.parameters import row_cap
from batcher.engine.planning.planned_row import PlannedRow
from batcher.engine.shards.payload import Keep, ShardPlan, encode_columns, encode_plan
from batcher.ports import CallNeeded, Carried, NewShard


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardForm:
    """What shards hold besides what is sent.

    ``row_ids``: row numbers serve as ids. ``keep`` says what is kept of the input's columns.
    ``split``: records say which part of a text they are of, uncut ones, too.
    """

    row_ids: bool
    keep: Keep
    split: bool

    @classmethod
    def of(cls, spec: JobSpec, bound: BoundKind, *, arrow: bool) -> ShardForm:
        """What the shards of a job hold; ``arrow``: what is kept has the types of Arrow."""
        kept = Keep.ARROW if arrow else Keep.PLAIN
        return cls(
            row_ids=spec.id is None,
            keep=kept if spec.keep_input else Keep.NOTHING,
            split=bound.overlong is Overlong.SPLIT,
        )


class _Pieces:
    """The pieces of a shard, in parallel lists."""

    def __init__(self, *, split: bool) -> None:
        self.rows: list[int] = []
        self.prompts: list[Prompt] = []
        self.chunks: list[tuple[int, int, int]] = []
        self.chunked = split
        self._own: list[OwnRequest] | None = None

    def add(self, number: int, row: PlannedRow) -> int:
        """Take in the pieces of a row of that number; how many characters their last texts have."""
        characters = 0
        for chunk, (*_, last) in enumerate(row.prompts):
            characters += len(last)
            self.rows.append(number)
            span = (0, len(last)) if row.spans is None else row.spans[chunk]
            self.chunks.append((chunk, *span))
        self.chunked |= row.spans is not None
        if row.own is not TEXTS_ALONE or self._own is not None:
            self._add_own(row)
        self.prompts += row.prompts
        return characters

    def _add_own(self, row: PlannedRow) -> None:
        """Keep the row's own; those before the first that has any are texts alone."""
        if self._own is None:
            self._own = [TEXTS_ALONE] * len(self.prompts)
        self._own += [row.own] * len(row.prompts)

    def asked(self) -> Asked:
        """What they ask for."""
        return Asked.of_pieces(self.prompts, self._own)


class _Reused:
    """The rows that need no call, and what the others were before."""

    def __init__(self) -> None:
        self.pieces: list[int] = []
        self.places: list[Hashable] = []
        self.before: Counter[CallNeeded] = Counter()

    def add(self, first_piece: int, row: PlannedRow) -> None:
        """Take in a row whose pieces begin with that one."""
        if row.place is None:
            if row.before is not CallNeeded.NEW:
                self.before[row.before] += 1
            return
        self.pieces += range(first_piece, first_piece + len(row.tokens))
        self.places.append(row.place)

    def carried(self) -> Carried | None:
        """What is committed with the shard, without the results, which come later."""
        if not self.places:
            return None
        return Carried(pieces=tuple(self.pieces), rows=len(self.places), places=self.places)


class ShardInMaking:
    """A shard being filled."""

    def __init__(self, first_row: int, limits: RequestLimits, form: ShardForm) -> None:
        self.packer = ShardPacker(limits=limits)
        self._form = form
        self._first_row = first_row
        self._alike = b""
        self._more_tokens = 0
        self._ids: list[RowId | None] = []
        self._records: list[Mapping[str, Any] | None] = []
        self._arrows: list[tuple[Any, int] | None] = []
        self._pieces = _Pieces(split=form.split)
        self._dead: list[DeadLetter] = []
        self._contents = bytearray()
        self._reused = _Reused()

    def takes(self, row: PlannedRow) -> bool:
        """Whether the row belongs into this shard; if not, begin another one."""
        return self.packer.takes(
            row.tokens, sent=row.place is None, apart=row.own.alike != self._alike
        )

    def add(self, row: PlannedRow) -> None:
        """Take a row in, dead or alive."""
        packer = self.packer
        characters = self._pieces.add(packer.rows, row)
        self._ids.append(row.id)
        self._records.append(row.record)
        self._arrows.append(row.arrow)
        if row.dead is not None:
            self._dead.append(row.dead)
        self._contents += row.content or bytes(CONTENT_BYTES)
        self._reused.add(len(packer.tokens), row)
        sent = row.place is None
        apart = row.own.alike != self._alike and sent and bool(row.tokens)
        if apart:
            self._alike = row.own.alike
            cap = row_cap(row.own.parameters) or 0
            self._more_tokens = max(0, cap - packer.limits.usual_output_tokens)
        packer.add(row.tokens, characters, sent=sent, apart=apart, more_tokens=self._more_tokens)

    def finish(self, ordinal: int) -> NewShard:
        """The shard as the store takes it."""
        packer, pieces, before = self.packer, self._pieces, self._reused.before
        asked = pieces.asked()
        plan = ShardPlan(
            first_row=self._first_row,
            rows=packer.rows,
            ids=None if self._form.row_ids else self._ids,
            piece_rows=pieces.rows,
            tokens=packer.tokens,
            starts=packer.starts,
            chunks=pieces.chunks if pieces.chunked else None,
            contents=bytes(self._contents),
        )
        return NewShard(
            ordinal=ordinal,
            first_row=self._first_row,
            rows=packer.rows,
            pieces=len(packer.tokens),
            requests=len(packer.starts),
            plan=encode_plan(plan, asked),
            columns=encode_columns(self._form.keep, self._records, self._arrows),
            dead=tuple(self._dead),
            carried=self._reused.carried(),
            rows_changed=before[CallNeeded.CHANGED],
            rows_failed_before=before[CallNeeded.FAILED_BEFORE],
        )
