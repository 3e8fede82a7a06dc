"""Some of a job's records: from a row on, or of one id; the rest of the job is not read."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Final, TypeAlias

from batcher.core.errors import DamagedStore, UsageError
from batcher.core.job.description import Description
from batcher.core.job.fingerprint import id_hashes
from batcher.core.model import DeadLetter, Job, id_texts
from batcher.engine.delivery.exporter import Readable, batches, read_shard
from batcher.engine.shards.payload import decode_plan
from batcher.ports import OutputBatch, StoredShard

Cursor: TypeAlias = tuple[int, int]
"""A place between records: the row and the chunk (0 where records are of whole rows) before it."""

BEFORE_ALL: Final[Cursor] = (-1, 0)
BEHIND_ALL_CHUNKS = 2**31 - 1
_MOST_DIGITS = 19


async def batches_after(
    store: Readable,
    job: Job,
    described: Description,
    after: Cursor,
    left_out: list[DamagedStore] | None = None,
    *,
    every_row: bool = False,
) -> AsyncGenerator[OutputBatch, None]:
    """As :func:`.exporter.batches`, the records after the one of that row and chunk.

    Shards before that row are not read.
    """
    row = max(0, after[0])
    read = batches(store, job, described, left_out, every_row=every_row, from_row=row)
    async with aclosing(read):
        async for batch in read:
            first = bisect_right(range(len(batch.rows)), after, key=lambda at: cursor_of(batch, at))
            if first < len(batch.rows):
                yield part(batch, first, len(batch.rows)) if first else batch


async def record_of_id(store: Readable, job: Job, described: Description, id_: str) -> OutputBatch:
    """The records of the row with this id: of each of its chunks, or one.

    Raises:
        UsageError: the job has no such row, or this row has no result; says which, and why.
    """
    async for stored in _candidates(store, job, described, id_):
        if stored.damage is not None:
            raise stored.damage
        row = await asyncio.to_thread(_row_of, stored, id_)
        if row is None:
            continue
        dimension = job.learned.dimension
        batch = await asyncio.to_thread(read_shard, stored, described, dimension, every_row=False)
        first, end = bisect_left(batch.rows, row), bisect_right(batch.rows, row)
        if first == end:
            raise await _no_result(store, job, row, id_)
        return part(batch, first, end)
    more = "" if job.planned else f" among the {job.plan_row:,} that are planned"
    raise UsageError(f"job {job.id} has no row with the id {id_!r}{more}")


def cursor_of(batch: OutputBatch, at: int) -> Cursor:
    """The place behind a record."""
    return batch.rows[at], (batch.chunks[at][0] or 0) if batch.chunks else 0


def part(batch: OutputBatch, start: int, end: int) -> OutputBatch:
    """Some consecutive records of a batch."""
    return replace(
        batch,
        ids=batch.ids[start:end],
        rows=batch.rows[start:end],
        results=batch.results[start:end],
        vectors=None if batch.vectors is None else batch.vectors[start:end],
        records=batch.records[start:end],
        chunks=batch.chunks[start:end],
        costs=batch.costs[start:end],
        arrow=None if batch.arrow is None else batch.arrow.slice(start, end - start),
        missing=[at - start for at in batch.missing if start <= at < end],
    )


async def _candidates(
    store: Readable, job: Job, described: Description, id_: str
) -> AsyncIterator[StoredShard]:
    """The shards that may have a row of this id: mostly one, or none."""
    if described.spec.id is not None:
        for ordinal in await store.shards_with_id(job.id, id_hashes([id_])):
            if (stored := await store.shard(job.id, ordinal)) is not None:
                yield stored
    elif id_.isascii() and id_.isdigit() and len(id_) < _MOST_DIGITS:  # the row's number
        async for stored in store.shards(job.id, from_row=int(id_)):
            yield stored
            return


def _row_of(stored: StoredShard, id_: str) -> int | None:
    """The number of the row with this id within the job."""
    plan = decode_plan(stored.outline)
    ids = [plan.id_of(row) for row in range(plan.rows)]
    texts = id_texts(["" if row_id is None else row_id for row_id in ids])
    found = (row for row, text in enumerate(texts) if text == id_ and ids[row] is not None)
    row = next(found, None)
    return None if row is None else plan.first_row + row


async def _no_result(store: Readable, job: Job, row: int, id_: str) -> UsageError:
    letter = await _letter_of(store, job.id, row)
    if letter is None:
        return UsageError(f"the row with the id {id_!r} of job {job.id} has no result yet")
    return UsageError(
        f"the row with the id {id_!r} of job {job.id} failed for good ({letter.code}): "
        f"`batcher errors {job.id}` says why"
    )


async def _letter_of(store: Readable, job_id: str, row: int) -> DeadLetter | None:
    async for letter in store.dead_letters(job_id, after=(row - 1, BEHIND_ALL_CHUNKS)):
        return letter if letter.row == row else None
    return None
