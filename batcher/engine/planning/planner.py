"""Rows into shards: prepared a batch at a time, and packed.

Synchronous on purpose: it is CPU work that the engine runs in a thread or in a process of its own,
a little at a time, so that the first request leaves while most of the input is still unread.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from batcher.core.errors import InputError
from batcher.core.kind import BoundKind
from batcher.core.kind_optional import AttachesFiles
from batcher.core.limits import RequestLimits
from batcher.engine.planning.attaching import Attaching
from batcher.engine.planning.planned_row import PlannedRow
from batcher.engine.planning.rendering import Rendering
from batcher.engine.planning.row_preparation import PieceCutter, ReuseQuestions, RowPreparation
from batcher.engine.planning.shard_in_making import ShardForm, ShardInMaking
from batcher.ports import (
    AttachmentFiles,
    InputSource,
    NewShard,
    NoGuard,
    ReuseLookup,
    RowGuard,
    Tokenizer,
)


class Cursor(NamedTuple):
    """Where a plan goes on: the first row that is in no shard yet, and the next shard's number."""

    row: int
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRules:
    """What is made of each row: by ``bound``, a kind of the name ``kind``, within ``limits``.

    ``recipe`` is what contents are hashed under, in hexadecimal digits; ``attachments`` are the
    files that rows may name.
    """

    bound: BoundKind
    kind: str
    tokenizer: Tokenizer
    limits: RequestLimits
    recipe: str
    attachments: AttachmentFiles | None = None


class Planner:
    """The plan of one job, from a row on: an iterator of shards."""

    def __init__(
        self,
        source: InputSource,
        preparation: RowPreparation,
        limits: RequestLimits,
        *,
        form: ShardForm,
        cursor: Cursor,
        rows: int,
    ) -> None:
        """``rows`` is where to stop."""
        self._preparation = preparation
        self._limits = limits
        self._form = form
        self._cursor = cursor
        self._rows = rows
        self._prepared = self._prepare(source)
        self._ahead: PlannedRow | None = None
        self._failure: Exception | None = None
        self._input_sha256: str | None = None

    def next_shard(self) -> NewShard | None:
        """Plan one more shard; None when all rows are planned."""
        shard = ShardInMaking(self._cursor.row, self._limits, self._form)
        packer = shard.packer
        while (row := self._ahead or next(self._prepared, None)) is not None:
            self._ahead = None
            if packer.rows and not shard.takes(row):
                self._ahead = row
                break
            shard.add(row)
        if not packer.rows:
            return None
        row_number, ordinal = self._cursor
        self._cursor = Cursor(row_number + packer.rows, ordinal + 1)
        return shard.finish(ordinal)

    def next_shards(self, rows: int, size_bytes: int) -> list[NewShard]:
        """Plan shards until they have so many rows or bytes together; none when all are planned.

        What fails behind a shard that is planned already is raised at the next call.
        """
        if self._failure is not None:
            raise self._failure
        shards: list[NewShard] = []
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
            rows -= planned.rows
            size_bytes -= planned.size_bytes
        return shards

    def stop(self) -> None:
        """End what is being planned, from any thread; what is to be planned raises GuardStopped."""
        self._preparation.stop()

    @property
    def next_row(self) -> int:
        """The first row that is in no shard yet."""
        return self._cursor.row

    @property
    def input_sha256(self) -> str | None:
        """The hash of the input as it was read; None where its end was not reached."""
        return self._input_sha256

    def _prepare(self, source: InputSource) -> Iterator[PlannedRow]:
        """Rows with their pieces, a batch at a time."""
        left = self._rows - self._cursor.row
        for batch in source.rows(self._cursor.row):
            if left <= 0:
                break
            yield from self._preparation.prepare(batch[:left])
            left -= len(batch)
        else:
            self._input_sha256 = source.sha256()


def make_planner(
    source: InputSource,
    rules: RowRules,
    form: ShardForm,
    *,
    cursor: Cursor,
    rows: int,
    reuse: ReuseLookup | None = None,
    guard: RowGuard | None = None,
) -> Planner:
    """The planner of one job with its parts.

    ``rows`` is where to stop; ``reuse`` says which rows need no call; ``guard`` keeps the time of
    each row.
    """
    bound, most = rules.bound, rules.limits.max_input_tokens
    questions = None
    if reuse is not None:
        questions = ReuseQuestions(reuse, row_ids=form.row_ids, max_input_tokens=most)
    rendering = Rendering(bound, rules.kind, guard or NoGuard(), any_before=cursor.row > 0)
    attaching = None
    if rules.attachments is not None and isinstance(bound, AttachesFiles):
        attaching = Attaching(bound, rules.attachments, rendering)
    preparation = RowPreparation(
        rendering,
        PieceCutter(bound, rules.tokenizer, rules.limits),
        questions,
        bytes.fromhex(rules.recipe),
        attaching,
    )
    return Planner(source, preparation, rules.limits, form=form, cursor=cursor, rows=rows)


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
