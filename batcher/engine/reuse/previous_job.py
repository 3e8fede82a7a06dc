"""``--since-last``: the former job's rows in an index, its results fetched when needed.

The index is built on disk, a shard at a time, without reading a single prompt or result. A shard's
results are read when a row of it is carried over: once, for rows mostly come in the order they had.
Those of a shard that is wanted again are kept beside the index, so that rows in another order cost
two readings of the former job and not one for each shard of the new one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Hashable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from batcher.core.errors import StoreError, UsageError
from batcher.core.kind import Shape
from batcher.core.model import RowId, id_texts
from batcher.engine.shards.payload import ShardPlan, decode_plan
from batcher.engine.shards.results import join_results, split_results
from batcher.ports import (
    AskedRow,
    CallNeeded,
    FormerRow,
    ResultStore,
    Reused,
    RowIndex,
    ShardOutline,
    StoredShard,
)

_SHARDS_AT_HAND = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """Which job's results may be carried over, and how to get at them (:class:`.ReuseStrategy`).

    ``gone`` is called where that job is not there any more; nothing is carried over then.
    """

    store: ResultStore
    job_id: str
    shape: Shape
    open_index: Callable[[], RowIndex]
    gone: Callable[[], None]

    @property
    def keeps_answers(self) -> bool:
        """See :class:`batcher.ports.ReuseStrategy`: the job itself is what a later one reads."""
        return False

    @asynccontextmanager
    async def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[Previous | None]:
        """The job, indexed; ``tick`` is awaited between two shards. None where it is gone."""
        index = await self._opened()
        try:
            try:
                async for outline in self.store.outlines(self.job_id):
                    await asyncio.to_thread(_add, index, outline)
                    if tick is not None:
                        await tick()
            except UsageError:
                self.gone()
                yield None
            else:
                yield Previous(self.store, self.job_id, self.shape, index)
        finally:
            # Shielded: whoever stops waiting for it must not stop it.
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, index.close))

    async def _opened(self) -> RowIndex:
        """The index, empty; where nobody waits for it any more it is closed once it is there."""
        opening = asyncio.create_task(asyncio.to_thread(self.open_index))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if opening.exception() is None:
                opening.result().close()
            raise


@dataclass(slots=True)
class Previous:
    """The rows of a former job and their results: a strategy of reuse (:class:`.Reuse`)."""

    store: ResultStore = field(repr=False)
    job_id: str
    shape: Shape
    index: RowIndex = field(repr=False)
    _at_hand: dict[int, Mapping[int, bytes]] = field(default_factory=dict, repr=False)
    _read: set[int] = field(default_factory=set, repr=False)
    _kept: set[int] = field(default_factory=set, repr=False)

    def decide(self, rows: Sequence[AskedRow]) -> list[Reused | CallNeeded]:
        """Say of each row what it was in the former job, and whether its result is still right."""
        texts = iter(id_texts([row.id for row in rows if row.id is not None]))
        found = iter(self.index.find(list(texts)))
        return [CallNeeded.NEW if row.id is None else _decided(row, next(found)) for row in rows]

    async def results(self, places: Sequence[Hashable]) -> list[bytes]:
        """The results of rows by the ordinals of their shards and their numbers in these.

        Raises:
            StoreError: they are gone since they were looked for.
        """
        named = cast("Sequence[tuple[int, int]]", places)
        wanted: dict[int, list[int]] = defaultdict(list)
        for shard, row in named:
            wanted[shard].append(row)
        found: dict[tuple[int, int], bytes] = {}
        for shard, rows in sorted(wanted.items()):
            values = await self._results(shard, rows)
            found.update(((shard, row), value) for row, value in zip(rows, values, strict=True))
        return [found[place] for place in named]

    def portable(self) -> None:
        """None: the index has no name by which another process could open it."""

    async def _results(self, shard: int, rows: Sequence[int]) -> list[bytes]:
        """The results of some rows of one of the former job's shards."""
        if shard in self._kept:
            return await asyncio.to_thread(self.index.kept, shard, rows)
        results = self._at_hand.get(shard)
        if results is None:
            stored = await self.store.shard(self.job_id, shard)
            if stored is None:
                raise StoreError(
                    f"job {self.job_id} was deleted while its results were carried over: "
                    "run again, and what is missing is sent"
                )
            if stored.damage is not None:
                raise stored.damage
            results = await asyncio.to_thread(_row_results, stored, self.shape)
            if shard in self._read:
                await asyncio.to_thread(self.index.keep, shard, results)
                self._kept.add(shard)
            else:
                self._read.add(shard)
                self._at_hand[shard] = results
                while len(self._at_hand) > _SHARDS_AT_HAND:
                    del self._at_hand[next(iter(self._at_hand))]
        return [results[row] for row in rows]


def _decided(row: AskedRow, former: FormerRow | None) -> Reused | CallNeeded:
    if former is None:
        return CallNeeded.NEW
    if former.content != row.content:
        return CallNeeded.CHANGED
    if former.place is None or not row.sendable:
        return CallNeeded.FAILED_BEFORE
    return Reused(former.place, former.tokens, former.spans)


def _add(index: RowIndex, outline: ShardOutline) -> None:
    """Put a shard's rows into the index."""
    plan = decode_plan(outline.outline, outline.contents)
    ids: list[tuple[int, RowId]] = []
    for row in range(plan.rows):
        row_id = plan.id_of(row)
        if row_id is not None:
            ids.append((row, row_id))
    rows = _rows(plan, outline)
    texts = id_texts([row_id for _, row_id in ids])
    index.add((text, rows[row]) for text, (row, _) in zip(texts, ids, strict=True))


def _rows(plan: ShardPlan, outline: ShardOutline) -> list[FormerRow]:
    """The rows of a shard; one with a piece that is dead or not done has no place."""
    pieces = _pieces(plan)
    dead = {row - outline.first_row for row in outline.dead_rows}
    rows = []
    for row in range(plan.rows):
        mine = pieces.get(row, range(0))
        content = plan.content_of(row)
        if not mine or row in dead or not outline.done.issuperset(mine):
            rows.append(FormerRow(content=content, place=None))
            continue
        spans = None
        if plan.chunks is not None:
            spans = tuple(plan.chunks[piece][1:] for piece in mine)
        rows.append(
            FormerRow(
                content=content,
                place=(outline.ordinal, row),
                tokens=tuple(plan.tokens[piece] for piece in mine),
                spans=spans,
            )
        )
    return rows


def _pieces(plan: ShardPlan) -> dict[int, range]:
    """The pieces of each row that has some; they follow each other."""
    pieces: dict[int, range] = {}
    for piece, row in enumerate(plan.piece_rows):
        first = pieces[row].start if row in pieces else piece
        pieces[row] = range(first, piece + 1)
    return pieces


def _row_results(stored: StoredShard, shape: Shape) -> dict[int, bytes]:
    """The results of a shard's rows, those of a row's pieces as one blob."""
    plan = decode_plan(stored.outline)
    values: dict[int, bytes] = {}
    for done, blob in stored.results:
        values.update(zip(done, split_results(shape, len(done), blob), strict=True))
    return dict(_joined(plan, values, shape))


def _joined(
    plan: ShardPlan, values: Mapping[int, bytes], shape: Shape
) -> Iterator[tuple[int, bytes]]:
    for row, pieces in _pieces(plan).items():
        if all(piece in values for piece in pieces):
            yield row, join_results(shape, [values[piece] for piece in pieces])
