"""The verbs of :class:`batcher.ports.JobStore` in SQL."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import distinct, func, insert, or_, select, tuple_, update

from batcher.adapters.store.codec import (
    counter_row,
    counter_values,
    job_row,
    job_value,
    learned_text,
    storable,
)
from batcher.adapters.store.database import Conflict, Database
from batcher.adapters.store.delivering import UNTOUCHED
from batcher.adapters.store.lifecycle import moved, unknown_job
from batcher.adapters.store.sql.tables import DEAD_LETTER, DELIVERY, JOB, SHARD
from batcher.core.errors import IllegalTransition, StoreError
from batcher.core.job.filter import EVERY_JOB, JobFilter
from batcher.core.model import Doubt, Job, JobEvent, JobState, Learned, StopCause, Tally, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection, RowMapping

OPEN_TRIES = 8
"""How often a job is tried to be made whose generation others make, too."""
JOBS_AT_ONCE = 1_000
"""Of how many jobs one statement asks."""
_COMPARED = ("rows_carried", "rows_changed", "rows_failed_before")
_COUNTERS = tuple(counter_row(Usage(), Doubt()))
_COMMITTED = SHARD.c.cost_picousd + SHARD.c.doubt_picousd + SHARD.c.reserved_picousd


class SqlJobs:
    """Jobs in the table ``job``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_job(self, job: Job, *, fresh: bool) -> tuple[Job, bool]:
        """See :meth:`batcher.ports.JobStore.open_job`."""
        made: Job | None = None

        def work(connection: Connection) -> tuple[Job, bool]:
            nonlocal made
            if made is not None and _is_there(connection, made):
                return made, True  # this is done again, for the reply was lost
            opened, is_new = find_or_insert(connection, job=job, fresh=fresh)
            made = opened if is_new else None
            return opened, is_new

        for _ in range(OPEN_TRIES):
            try:
                return await self._database.write(work)
            except Conflict:  # on a server, another made this generation first; or the id is taken
                continue
        raise StoreError(f"database {self._database.name}: a job {job.id!r} is there already")

    async def newest(self, fingerprint: str, name: str | None) -> Job | None:
        """See :meth:`batcher.ports.JobStore.newest`."""
        return await self._database.read(partial(_newest, fingerprint=fingerprint, name=name))

    async def last_complete(self, name: str) -> Job | None:
        """See :meth:`batcher.ports.JobStore.last_complete`."""
        ended = (JOB.c.finished_at.desc(), JOB.c.created_at.desc(), JOB.c.id.desc())
        complete = select(JOB).where(JOB.c.name == name, JOB.c.state == JobState.COMPLETE.value)

        def work(connection: Connection) -> Job | None:
            row = connection.execute(complete.order_by(*ended).limit(1)).mappings().first()
            return None if row is None else job_value(row)

        return await self._database.read(work)

    async def job(self, job_id: str) -> Job:
        """See :meth:`batcher.ports.JobStore.job`."""
        return await self._database.read(partial(_find, job_id=job_id))

    async def jobs(
        self, *, limit: int = 100, wanted: JobFilter = EVERY_JOB, after: str | None = None
    ) -> list[Job]:
        """See :meth:`batcher.ports.JobStore.jobs`."""
        newest = select(JOB).order_by(JOB.c.created_at.desc(), JOB.c.id.desc()).limit(limit)
        for column, value in (
            (JOB.c.state, wanted.state),
            (JOB.c.name, wanted.name),
            (JOB.c.kind, wanted.kind),
        ):
            if value is not None:
                newest = newest.where(column == str(value))
        if wanted.since is not None:
            newest = newest.where(JOB.c.created_at >= wanted.since)

        def work(connection: Connection) -> list[Job]:
            page = newest
            if after is not None:
                last = must_find(connection, after)
                age = tuple_(JOB.c.created_at, JOB.c.id)
                page = newest.where(age < (last.created_at, last.id))
            return [job_value(row) for row in connection.execute(page).mappings()]

        return await self._database.read(work)

    async def move(
        self,
        job_id: str,
        event: JobEvent,
        *,
        cause: StopCause | None = None,
        reason: str | None = None,
        resume_at: datetime | None = None,
    ) -> Job:
        """See :meth:`batcher.ports.JobStore.move`."""
        after: Job | None = None

        def work(connection: Connection) -> Job:
            nonlocal after
            job = locked_job(connection, job_id)
            if job == after:
                return job  # this is done again, for the reply was lost
            now = self._database.now(connection)
            after = moved(job, event, now=now, cause=cause, reason=reason, resume_at=resume_at)
            write_state(connection, after)
            return after

        return await self._database.write(work)

    async def complete(self, job_id: str) -> bool:
        """See :meth:`batcher.ports.JobStore.complete`."""
        open_shard = select(SHARD.c.id).where(SHARD.c.job_id == job_id, SHARD.c.state == OPEN)

        def work(connection: Connection) -> bool:
            job = locked_job(connection, job_id)
            if not job.planned or connection.scalar(open_shard.limit(1)) is not None:
                return False
            try:
                job = moved(job, JobEvent.COMPLETE, now=self._database.now(connection))
            except IllegalTransition:
                return False
            write_state(connection, job)
            return True

        return await self._database.write(work)

    async def learn(self, job_id: str, learned: Learned) -> None:
        """See :meth:`batcher.ports.JobStore.learn`."""
        text = learned_text(learned)
        await self._database.write(partial(update_job, job_id=job_id, learned=text))

    async def set_budget(self, job_id: str, budget_picousd: int | None) -> None:
        """See :meth:`batcher.ports.JobStore.set_budget`."""
        sums = select(func.sum(_COMMITTED)).where(SHARD.c.job_id == job_id)

        def work(connection: Connection) -> None:
            # Whoever commits to a shard is waited for, so that the sum holds when it is written;
            # a shard that is added in between needs the job's row.
            lock_shards(connection, job_id)
            locked_job(connection, job_id)
            lock_shards(connection, job_id)
            committed = int(connection.scalar(sums) or 0)
            update_job(
                connection, job_id, budget_picousd=budget_picousd, committed_picousd=committed
            )

        await self._database.write(work)

    async def set_output(self, job_id: str, output: str) -> None:
        """See :meth:`batcher.ports.JobStore.set_output`."""
        await self._database.write(partial(update_job, job_id=job_id, output=storable(output)))

    async def tally(self, job_id: str) -> Tally:
        """See :meth:`batcher.ports.JobStore.tally`."""
        found = await self._database.read(partial(_tallies, job_ids=[job_id]))
        if job_id not in found:
            raise unknown_job(job_id)
        return found[job_id]

    async def tallies(self, job_ids: Sequence[str]) -> dict[str, Tally]:
        """See :meth:`batcher.ports.JobStore.tallies`."""
        found: dict[str, Tally] = {}
        for first in range(0, len(job_ids), JOBS_AT_ONCE):
            some = job_ids[first : first + JOBS_AT_ONCE]
            found |= await self._database.read(partial(_tallies, job_ids=some))
        return found


def find_or_insert(connection: Connection, *, job: Job, fresh: bool) -> tuple[Job, bool]:
    """What :meth:`batcher.ports.JobStore.open_job` does, within a transaction.

    Raises:
        IntegrityError: somebody else has inserted the same generation.
    """
    alike = JOB.c.fingerprint == job.fingerprint
    # Before the search: whoever makes the same job after this takes the generation that this one
    # would have, and whoever made it before is found.
    last = connection.scalar(select(func.max(JOB.c.generation)).where(alike))
    if not fresh:
        newest = _newest(connection, fingerprint=job.fingerprint, name=job.name)
        if newest is not None:
            return _named(connection, newest, job.name), False
    values = job_row(job) | {"generation": (last or 0) + 1}
    connection.execute(insert(JOB).values(values))
    return job_value(values), True


def _newest(connection: Connection, *, fingerprint: str, name: str | None) -> Job | None:
    going = select(JOB).where(
        JOB.c.fingerprint == fingerprint, JOB.c.state != JobState.CANCELLED.value
    )
    if name is not None:
        going = going.where(or_(JOB.c.name == name, JOB.c.name.is_(None)))
    newest = going.order_by(JOB.c.generation.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else job_value(row)


def _named(connection: Connection, job: Job, name: str | None) -> Job:
    """The job, bearing the name where it bore none."""
    if job.name is not None or name is None:
        return job
    update_job(connection, job.id, name=name)
    return replace(job, name=name)


def _is_there(connection: Connection, job: Job) -> bool:
    same = (JOB.c.id == job.id, JOB.c.fingerprint == job.fingerprint)
    return connection.scalar(select(JOB.c.generation).where(*same)) == job.generation


def _find(connection: Connection, *, job_id: str) -> Job:
    if not job_id.isascii():  # what is no Unicode could not even be asked for
        raise unknown_job(job_id)
    rows = connection.execute(select(JOB).where(JOB.c.id == job_id)).mappings().all()
    if not rows and job_id:
        begins = func.substr(JOB.c.id, 1, len(job_id)) == job_id
        rows = connection.execute(select(JOB).where(begins).limit(2)).mappings().all()
    if len(rows) != 1:
        raise unknown_job(job_id, several=len(rows) > 1)
    return job_value(rows[0])


def _tallies(connection: Connection, *, job_ids: Sequence[str]) -> dict[str, Tally]:
    """Those of the jobs that there are, by id."""
    summed = ("rows", "pieces", "rows_done", "pieces_done", *_COMPARED, *_COUNTERS)
    columns = (func.coalesce(func.sum(SHARD.c[name]), 0).label(name) for name in summed)
    of_shards = select(SHARD.c.job_id, *columns).where(SHARD.c.job_id.in_(job_ids))
    sums = {
        row["job_id"]: row
        for row in connection.execute(of_shards.group_by(SHARD.c.job_id)).mappings()
    }
    of_letters = select(DEAD_LETTER.c.job_id, func.count(distinct(DEAD_LETTER.c.row_number)))
    of_letters = of_letters.where(DEAD_LETTER.c.job_id.in_(job_ids)).group_by(DEAD_LETTER.c.job_id)
    failed = {row[0]: int(row[1]) for row in connection.execute(of_letters)}
    there = connection.scalars(select(JOB.c.id).where(JOB.c.id.in_(job_ids)))
    return {job_id: _tally(sums.get(job_id), failed.get(job_id, 0)) for job_id in there}


def _tally(sums: RowMapping | None, rows_failed: int) -> Tally:
    if sums is None:
        return Tally(rows_failed=rows_failed)
    usage, doubt = counter_values({name: sums[name] for name in _COUNTERS})
    return Tally(
        rows_planned=int(sums["rows"]),
        rows_done=int(sums["rows_done"]),
        rows_failed=rows_failed,
        pieces=int(sums["pieces"]),
        pieces_done=int(sums["pieces_done"]),
        **{name: int(sums[name]) for name in _COMPARED},
        usage=usage,
        doubt=doubt,
    )


OPEN = "open"
"""The state of a shard with pieces to be done."""

DONE = "done"
"""The state of a shard whose every piece has its result or dead letter."""


def locked_job(connection: Connection, job_id: str) -> Job:
    """The job, which nobody else changes before the end of the transaction.

    Raises:
        UsageError: there is none.
    """
    query = select(JOB).where(JOB.c.id == job_id).with_for_update(key_share=True)
    row = connection.execute(query).mappings().first()
    if row is None:
        raise unknown_job(job_id)
    return job_value(row)


def lock_shards(connection: Connection, job_id: str) -> None:
    """Lock a job's shards, in the order in which everybody locks shards: by id, before the job."""
    locked = select(SHARD.c.id).where(SHARD.c.job_id == job_id).order_by(SHARD.c.id)
    connection.execute(locked.with_for_update(key_share=True)).all()


def must_find(connection: Connection, job_id: str) -> Job:
    """The job of that very id; UsageError where there is none."""
    row = connection.execute(select(JOB).where(JOB.c.id == job_id)).mappings().first()
    if row is None:
        raise unknown_job(job_id)
    return job_value(row)


def must_exist(connection: Connection, job_id: str) -> None:
    """Raise UsageError where there is no such job."""
    if connection.scalar(select(JOB.c.id).where(JOB.c.id == job_id)) is None:
        raise unknown_job(job_id)


def update_job(connection: Connection, job_id: str, **values: Any) -> None:
    """Set columns of the job's row; UsageError where there is none."""
    changed = connection.execute(update(JOB).where(JOB.c.id == job_id).values(**values))
    if not changed.rowcount:
        raise unknown_job(job_id)


def write_state(connection: Connection, job: Job) -> None:
    """Set what a move changes; what was delivered of a job that is open (again) counts no more."""
    if job.state is JobState.OPEN:
        anew = update(DELIVERY).where(DELIVERY.c.job_id == job.id)
        connection.execute(anew.values({**UNTOUCHED, "fence": DELIVERY.c.fence + 1}))
    update_job(
        connection,
        job.id,
        state=job.state.value,
        cause=job.cause,
        reason=storable(job.reason) if job.reason is not None else None,
        resume_at=job.resume_at,
        finished_at=job.finished_at,
        plan_tries=job.plan_tries,
    )
