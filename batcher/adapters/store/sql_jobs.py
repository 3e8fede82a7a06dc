"""The verbs of :class:`batcher.ports.JobStore` in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, distinct, func, insert, select, update

from batcher.adapters.store.codec import (
    counter_row,
    counter_values,
    job_row,
    job_value,
    learned_text,
)
from batcher.adapters.store.database import Conflict, Database
from batcher.adapters.store.lifecycle import moved, unknown_job
from batcher.adapters.store.models import CHECKPOINT, DEAD_LETTER, JOB, PAYLOAD, SHARD
from batcher.core.errors import IllegalTransition, StoreError
from batcher.core.model import Doubt, Job, JobEvent, JobState, Learned, Tally, Usage

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

_OPEN_TRIES = 8
_PURGE_SHARDS = 64
_COUNTERS = tuple(counter_row(Usage(), Doubt()))
_COMMITTED = SHARD.c.cost_picousd + SHARD.c.doubt_picousd + SHARD.c.reserved_picousd


class SqlJobs:
    """Jobs in the table ``job``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """See :meth:`batcher.ports.JobStore.open_job`."""
        for _ in range(_OPEN_TRIES):
            try:
                return await self._open_job(job, fresh=fresh)
            except Conflict:  # another made this generation first: on SQLite the id is taken
                continue
        raise StoreError(f"database {self._database.name}: a job {job.id!r} is there already")

    async def _open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        alike = JOB.c.fingerprint == job.fingerprint
        going = select(JOB).where(alike, JOB.c.state != JobState.CANCELLED.value)
        async with self._database.writing() as connection:
            if not fresh:
                newest = going.order_by(JOB.c.generation.desc()).limit(1)
                row = (await connection.execute(newest)).mappings().first()
                if row is not None:
                    return job_value(dict(row)), False
            last = await connection.scalar(select(func.max(JOB.c.generation)).where(alike))
            values = job_row(job) | {"generation": (last or 0) + 1}
            await connection.execute(insert(JOB).values(values))
            return job_value(values), True

    async def job(self, job_id: str) -> Job:
        """See :meth:`batcher.ports.JobStore.job`."""
        begins = func.substr(JOB.c.id, 1, len(job_id)) == job_id
        async with self._database.reading() as connection:
            exact = select(JOB).where(JOB.c.id == job_id)
            rows = (await connection.execute(exact)).mappings().all()
            if not rows and job_id:
                like = select(JOB).where(begins).limit(2)
                rows = (await connection.execute(like)).mappings().all()
        if len(rows) != 1:
            raise unknown_job(job_id, several=len(rows) > 1)
        return job_value(dict(rows[0]))

    async def jobs(self, *, limit: int = 100) -> list[Job]:
        """See :meth:`batcher.ports.JobStore.jobs`."""
        newest = select(JOB).order_by(JOB.c.created_at.desc(), JOB.c.id.desc()).limit(limit)
        async with self._database.reading() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [job_value(dict(row)) for row in rows]

    async def move(
        self,
        job_id: str,
        event: JobEvent,
        *,
        reason: str | None = None,
        resume_at: datetime | None = None,
    ) -> Job:
        """See :meth:`batcher.ports.JobStore.move`."""
        async with self._database.writing() as connection:
            job = await locked_job(connection, job_id)
            now = await self._database.now(connection)
            job = moved(job, event, now=now, reason=reason, resume_at=resume_at)
            await _write_state(connection, job)
        return job

    async def complete(self, job_id: str) -> bool:
        """See :meth:`batcher.ports.JobStore.complete`."""
        open_shard = select(SHARD.c.id).where(SHARD.c.job_id == job_id, SHARD.c.state == OPEN)
        async with self._database.writing() as connection:
            job = await locked_job(connection, job_id)
            if not job.planned or await connection.scalar(open_shard.limit(1)) is not None:
                return False
            now = await self._database.now(connection)
            try:
                job = moved(job, JobEvent.COMPLETE, now=now)
            except IllegalTransition:
                return False
            await _write_state(connection, job)
        return True

    async def learn(self, job_id: str, learned: Learned) -> None:
        """See :meth:`batcher.ports.JobStore.learn`."""
        async with self._database.writing() as connection:
            await update_job(connection, job_id, learned=learned_text(learned))

    async def set_budget(self, job_id: str, budget_picousd: int | None) -> None:
        """See :meth:`batcher.ports.JobStore.set_budget`."""
        sums = select(func.sum(_COMMITTED)).where(SHARD.c.job_id == job_id)
        async with self._database.writing() as connection:
            await locked_job(connection, job_id)
            committed = int(await connection.scalar(sums) or 0)
            await update_job(
                connection, job_id, budget_picousd=budget_picousd, committed_picousd=committed
            )

    async def tally(self, job_id: str) -> Tally:
        """See :meth:`batcher.ports.JobStore.tally`."""
        summed = ("rows", "pieces", "rows_done", "pieces_done", *_COUNTERS)
        sums = select(
            *(func.coalesce(func.sum(SHARD.c[name]), 0).label(name) for name in summed)
        ).where(SHARD.c.job_id == job_id)
        failed = select(func.count(distinct(DEAD_LETTER.c.row_number))).where(
            DEAD_LETTER.c.job_id == job_id
        )
        async with self._database.reading() as connection:
            await must_exist(connection, job_id)
            row = (await connection.execute(sums)).mappings().one()
            rows_failed = await connection.scalar(failed)
        usage, doubt = counter_values({name: row[name] for name in _COUNTERS})
        return Tally(
            rows_planned=int(row["rows"]),
            rows_done=int(row["rows_done"]),
            rows_failed=rows_failed or 0,
            pieces=int(row["pieces"]),
            pieces_done=int(row["pieces_done"]),
            usage=usage,
            doubt=doubt,
        )

    async def purge(self, job_id: str) -> None:
        """See :meth:`batcher.ports.JobStore.purge`."""
        async with self._database.writing() as connection:
            cancelled = update(JOB).where(JOB.c.id == job_id)
            await connection.execute(cancelled.values(state=JobState.CANCELLED.value))
        batch = select(SHARD.c.id).where(SHARD.c.job_id == job_id).limit(_PURGE_SHARDS)
        while True:
            async with self._database.writing() as connection:
                ids = (await connection.scalars(batch)).all()
                for table in (CHECKPOINT, PAYLOAD, DEAD_LETTER):
                    await connection.execute(delete(table).where(table.c.shard_id.in_(ids)))
                await connection.execute(delete(SHARD).where(SHARD.c.id.in_(ids)))
                if len(ids) < _PURGE_SHARDS:
                    await connection.execute(delete(JOB).where(JOB.c.id == job_id))
                    return


OPEN = "open"
"""The state of a shard with pieces to be done."""

DONE = "done"
"""The state of a shard whose every piece has its result or dead letter."""


async def locked_job(connection: AsyncConnection, job_id: str) -> Job:
    """The job, which nobody else changes before the end of the transaction.

    Raises:
        UsageError: there is none.
    """
    query = select(JOB).where(JOB.c.id == job_id).with_for_update()
    row = (await connection.execute(query)).mappings().first()
    if row is None:
        raise unknown_job(job_id)
    return job_value(dict(row))


async def must_exist(connection: AsyncConnection, job_id: str) -> None:
    """Raise UsageError where there is no such job."""
    if await connection.scalar(select(JOB.c.id).where(JOB.c.id == job_id)) is None:
        raise unknown_job(job_id)


async def update_job(connection: AsyncConnection, job_id: str, **values: Any) -> None:
    """Set columns of the job's row; UsageError where there is none."""
    changed = await connection.execute(update(JOB).where(JOB.c.id == job_id).values(**values))
    if not changed.rowcount:
        raise unknown_job(job_id)


async def _write_state(connection: AsyncConnection, job: Job) -> None:
    await update_job(
        connection,
        job.id,
        state=job.state.value,
        reason=job.reason,
        resume_at=job.resume_at,
        finished_at=job.finished_at,
    )
