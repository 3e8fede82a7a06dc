"""From checkpoints to records: results in input order, a shard at a time.

The input is never opened again: ids and columns come from the plan. A row with a dead chunk is left
out whole; a row that is not done yet can only be missing from a partial export.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from batcher.core.errors import DamagedStore, StoreError
from batcher.core.job.description import Description
from batcher.core.kind import Overlong, Shape
from batcher.core.model import Job, JobState, RowId
from batcher.core.money.prices import PICO
from batcher.engine.delivery.piece_results import Vectors, read_results
from batcher.engine.delivery.read_ahead import ahead
from batcher.engine.shards.arrow_records import ArrowRecords
from batcher.engine.shards.payload import (
    ShardPlan,
    decode_bills,
    decode_plan,
    decode_records,
)
from batcher.ports import (
    FailureStore,
    JobReads,
    OutputBatch,
    OutputSchema,
    OutputSink,
    ResultStore,
    StoredShard,
)

_NO_CHUNKS = (
    "the database is damaged: a plan in it does not say where chunks begin; restore a copy of it"
)
_BATCHES_AHEAD = 2
"""A sink gathers some batches and then writes them in one go; reading goes on meanwhile."""
_ROWS_A_FLUSH = 5_000
"""What an attempt that is broken off has to repeat at the most, and a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """Where an earlier attempt of a delivery got to, and what makes this one's steps last.

    The rows before ``cursor`` are delivered, by so many ``records``. ``flush`` has the destination
    keep what was written, ``keep`` has the store know it: the new cursor and number of records.
    """

    cursor: int
    records: int
    flush: Callable[[], None]
    keep: Callable[[int, int], Awaitable[None]]


class Readable(JobReads, ResultStore, FailureStore, Protocol):
    """What whoever gives results out needs of a store."""


def output_schema(job: Job, described: Description) -> OutputSchema:
    """What the records of a job's output look like."""
    return OutputSchema(
        columns=job.facts.columns if described.input.keep_input else (),
        fields=described.fields,
        chunked=described.chunked,
        dimension=job.learned.dimension,
        costs=described.work.cost_columns,
        arrow_schema=job.facts.arrow_schema if described.input.keep_input else None,
    )


async def export(
    store: Readable,
    job: Job,
    described: Description,
    sink: OutputSink,
    left_out: list[DamagedStore] | None = None,
    *,
    every_row: bool = False,
    resumption: Resumption | None = None,
) -> int:
    """Write all results of a job to a sink, in input order; returns how many rows' or chunks'.

    The sink is not committed. With a ``resumption`` those that were delivered before are left out,
    but count.

    Batches are read while those before them are being written. What is damaged is left out, and
    put into ``left_out``, where that is given.

    Raises:
        StoreError: rows of a complete job lack their results.
    """
    reached = flushed = 0 if resumption is None else resumption.cursor
    records = 0 if resumption is None else resumption.records
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()
    written.set_result(None)
    try:
        async with aclosing(
            ahead(
                batches(store, job, described, left_out, every_row=every_row, from_row=reached),
                _BATCHES_AHEAD,
            )
        ) as read:
            async for batch in read:
                await written
                if resumption is not None and reached - flushed >= _ROWS_A_FLUSH:
                    await loop.run_in_executor(None, resumption.flush)
                    await resumption.keep(reached, records)
                    flushed = reached
                written = loop.run_in_executor(None, sink.write, batch)
                records += len(batch.rows) - len(batch.missing)
                reached = batch.next_row
    finally:
        await written
    if job.state is JobState.COMPLETE and not described.chunked and not left_out:
        await _check_complete(store, job, records)
    return records


async def _check_complete(store: Readable, job: Job, records: int) -> None:
    """An output is complete or absent, whatever is wrong with the database."""
    done = (await store.tally(job.id)).rows_done
    if records != done:
        raise StoreError(
            f"job {job.id}: {done} rows are done and {records} have a result that can be used: the "
            "database is damaged; nothing was written"
        )


async def batches(
    store: Readable,
    job: Job,
    described: Description,
    left_out: list[DamagedStore] | None = None,
    *,
    every_row: bool = False,
    from_row: int = 0,
) -> AsyncGenerator[OutputBatch, None]:
    """The output records of a job, one batch a shard, in input order; of rows from a number on.

    ``every_row``: rows without a result have a record, too, in their places. ``from_row``: begin at
    the shard that has this row.
    While two answers have not agreed on the length of the vectors, only those of the first length.

    Raises:
        DamagedStore: a shard is not what was written, and there is no ``left_out``.
    """
    dimension = job.learned.dimension
    async for stored in store.shards(job.id, from_row=from_row):
        if stored.damage is not None:
            if left_out is None:
                raise stored.damage
            left_out.append(stored.damage)
            if not stored.outline:
                continue
        batch = await asyncio.to_thread(read_shard, stored, described, dimension, every_row)
        if batch.rows:
            if batch.vectors is not None:
                dimension = batch.vectors.shape[1] or dimension
            yield replace(batch, next_row=stored.first_row + stored.rows)


def read_shard(
    stored: StoredShard, described: Description, dimension: int | None, every_row: bool
) -> OutputBatch:
    """The records of one shard; vectors have the length ``dimension``, if that is known."""
    plan = decode_plan(stored.outline)
    records = None if stored.columns is None else decode_records(stored.columns)
    found = read_results(stored, described.shape, len(plan.tokens), dimension)
    vectors, objects = found.vectors, found.objects
    has_objects = described.shape is not Shape.VECTOR
    chosen = _exportable(plan, found.have, stored)
    if described.overlong is Overlong.MEAN and plan.chunks is not None and vectors is not None:
        chosen, vectors = _combine(plan, chosen, vectors)
    elif vectors is not None and len(chosen) != len(plan.tokens):
        vectors = vectors[chosen]
    rows = [plan.piece_rows[piece] for piece in chosen]
    if every_row and len(set(rows)) < plan.rows:
        return _with_missing(plan, stored, described, records, chosen, vectors, objects, dimension)
    return OutputBatch(
        ids=[cast("RowId", plan.id_of(row)) for row in rows],  # rows with results have one
        rows=[plan.first_row + row for row in rows],
        results=[objects[piece] or {} for piece in chosen] if has_objects else [],
        vectors=vectors,
        records=_pick(records, rows),
        arrow=records.pick(rows) if isinstance(records, ArrowRecords) else None,
        chunks=_spans(plan, chosen) if described.chunked else [],
        costs=_costs(plan, stored, chosen, described) if described.work.cost_columns else (),
    )


def _with_missing(
    plan: ShardPlan,
    stored: StoredShard,
    described: Description,
    records: Sequence[Mapping[str, Any] | None] | ArrowRecords | None,
    chosen: Sequence[int],
    vectors: Vectors | None,
    objects: Sequence[Mapping[str, Any] | None],
    dimension: int | None,
) -> OutputBatch:
    """The records of all rows of a shard; those of rows without a result have none."""
    there = {plan.piece_rows[piece] for piece in chosen}
    entries = [(plan.piece_rows[piece], at) for at, piece in enumerate(chosen)]
    entries += [(row, -1) for row in range(plan.rows) if row not in there]
    entries.sort()
    rows = [row for row, _ in entries]
    take = np.array([at for _, at in entries], dtype=np.int64)
    pieces = [chosen[at] if at >= 0 else None for at in take]
    has_objects = described.shape is not Shape.VECTOR
    if described.shape is not Shape.JSON:
        width = vectors.shape[1] if vectors is not None else dimension or 0
        whole = np.zeros((len(rows), width), dtype=np.float32)
        if vectors is not None:
            whole[take >= 0] = vectors[take[take >= 0]]
        vectors = whole
    spans = iter(_spans(plan, chosen) if described.chunked else ())
    costs: Sequence[tuple[int, int, float | None, str | None]] = ()
    if described.work.cost_columns:
        paid = iter(_costs(plan, stored, chosen, described))
        lost = iter(_costs_of_rows(plan, stored, [row for row, at in entries if at < 0]))
        costs = [next(lost if piece is None else paid) for piece in pieces]
    return OutputBatch(
        ids=[cast("RowId", plan.id_of(row)) for row in rows],
        rows=[plan.first_row + row for row in rows],
        results=[{} if p is None else objects[p] or {} for p in pieces] if has_objects else [],
        vectors=vectors,
        records=_pick(records, rows),
        arrow=records.pick_or_null(rows) if isinstance(records, ArrowRecords) else None,
        chunks=[(None, None, None) if piece is None else next(spans) for piece in pieces]
        if described.chunked
        else [],
        costs=costs,
        missing=[at for at, piece in enumerate(pieces) if piece is None],
    )


@dataclass(slots=True)
class _Cost:
    """What the pieces of one record cost, and what the provider called its model last."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    picousd: int | None = 0
    model: str | None = None

    def add(self, prompt_tokens: int, completion_tokens: int, picousd: int | None) -> None:
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens
        if picousd is None or self.picousd is None:
            self.picousd = None
        else:
            self.picousd += picousd


def _costs(
    plan: ShardPlan, stored: StoredShard, pieces: Sequence[int], described: Description
) -> list[tuple[int, int, float | None, str | None]]:
    """What each record cost: all answers for it, those too that had to be asked for again.

    A record is a piece where chunks have records of their own, else all pieces of a row. What was
    carried over from another job has no bill, and cost nothing.
    """
    record = range(len(plan.tokens)) if described.chunked else plan.piece_rows
    return _costs_of(stored, record, [record[piece] for piece in pieces])


def _costs_of_rows(
    plan: ShardPlan, stored: StoredShard, rows: Sequence[int]
) -> list[tuple[int, int, float | None, str | None]]:
    """What each of some rows cost, all of its pieces together."""
    return _costs_of(stored, plan.piece_rows, rows)


def _costs_of(
    stored: StoredShard, record: Sequence[int], wanted: Sequence[int]
) -> list[tuple[int, int, float | None, str | None]]:
    """What the records cost that are wanted; ``record`` says which one each piece belongs to."""
    found: dict[int, _Cost] = {}
    for bill in (bill for blob in stored.bills for bill in decode_bills(blob)):
        costs: Sequence[int | None] = bill.costs or [None] * len(bill.pieces)
        for piece, prompt, completion, picousd in zip(
            bill.pieces, bill.prompt_tokens, bill.completion_tokens, costs, strict=True
        ):
            cost = found.setdefault(record[piece], _Cost())
            cost.add(prompt, completion, picousd)
            cost.model = bill.model or cost.model
    nothing = _Cost()
    chosen = [found.get(one, nothing) for one in wanted]
    return [
        (
            cost.prompt_tokens,
            cost.completion_tokens,
            None if cost.picousd is None else cost.picousd / PICO,
            cost.model,
        )
        for cost in chosen
    ]


def _exportable(plan: ShardPlan, have: npt.NDArray[np.bool_], stored: StoredShard) -> list[int]:
    """The pieces of rows that are whole and alive, in input order."""
    if not stored.dead_rows and have.all():
        return list(range(len(plan.tokens)))
    rows = np.asarray(plan.piece_rows, dtype=np.int64)
    out = np.zeros(plan.rows, dtype=bool)
    out[rows[~have]] = True
    for row in stored.dead_rows:
        out[row - plan.first_row] = True
    return [int(piece) for piece in np.flatnonzero(~out[rows])]


def _combine(plan: ShardPlan, pieces: Sequence[int], vectors: Vectors) -> tuple[list[int], Vectors]:
    """One vector a row: the mean of its chunks weighted by their tokens, of length 1.

    Source: the OpenAI Cookbook, "Embedding texts that are longer than the model's maximum context
    length". In float64 and in chunk order, so that the result does not depend on what came when.
    """
    firsts: list[int] = []
    combined: list[npt.NDArray[np.float32]] = []
    start = 0
    while start < len(pieces):
        end = start + 1
        row = plan.piece_rows[pieces[start]]
        while end < len(pieces) and plan.piece_rows[pieces[end]] == row:
            end += 1
        chosen = list(pieces[start:end])
        firsts.append(chosen[0])
        if len(chosen) == 1:
            combined.append(vectors[chosen[0]])
        else:
            weights = np.array([plan.tokens[piece] for piece in chosen], dtype=np.float64)
            mean = np.average(vectors[chosen].astype(np.float64), axis=0, weights=weights)
            norm = float(np.linalg.norm(mean))
            combined.append((mean / norm if norm else mean).astype(np.float32))
        start = end
    return firsts, np.array(combined, dtype=np.float32).reshape(len(firsts), vectors.shape[1])


def _pick(
    records: Sequence[Mapping[str, Any] | None] | ArrowRecords | None, rows: Sequence[int]
) -> Sequence[Mapping[str, Any]]:
    if records is None or isinstance(records, ArrowRecords):
        return []
    return [records[row] or {} for row in rows]


def _spans(plan: ShardPlan, pieces: Sequence[int]) -> list[tuple[int, int, int]]:
    """(chunk, start, end) of each piece; a row that was not cut is its own first chunk."""
    if plan.chunks is None:
        raise DamagedStore(_NO_CHUNKS)
    return [plan.chunks[piece] for piece in pieces]
