"""What is done with jobs that are there: looking at them, and acting on them. Nothing is sent."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from batcher.core.errors import UsageError
from batcher.core.job.filter import EVERY_JOB
from batcher.core.model import JobEvent, JobState
from batcher.engine.job.endings import Endings, apply_ending
from batcher.engine.job.listing import Reports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence

    from batcher.core.job.filter import JobFilter
    from batcher.core.model import DeadLetter, FailureCount, Job
    from batcher.engine.delivery.files import Delivery
    from batcher.engine.delivery.overwriting import Output
    from batcher.engine.delivery.records import Records
    from batcher.engine.delivery.selection import Cursor
    from batcher.engine.job.report import Report
    from batcher.engine.job.results import Failed, Result
    from batcher.engine.services import Services
    from batcher.engine.telemetry.run_stats import RunStats
    from batcher.ports import Space, WorkerState


class Jobs:
    """The jobs of one database. What only one method needs is imported there."""

    def __init__(self, services: Services) -> None:
        """``services`` know them."""
        self._services = services
        self._reports = Reports(services)
        self._report = self._reports.of

    @cached_property
    def _delivery(self) -> Delivery:
        from batcher.engine.delivery.files import Delivery

        return Delivery(self._services.store, self._services.files)

    # --- looking ----------------------------------------------------------------------------------

    async def watch(self, job_id: str, *, on_live: Callable[[RunStats], None]) -> Report:
        """Follow a job that others work on until it is not open any more.

        ``on_live`` is given figures that are kept up to date.
        """
        from batcher.engine.telemetry.watch import watch

        store, clock = self._services.store, self._services.clock
        described = (job := await store.job(job_id)).description
        priced = await asyncio.to_thread(self._reports.is_priced, described)
        job = await watch(store, clock, job.id, priced=priced, on_live=on_live)
        return await self._report(job, Endings.of(job))

    async def workers(self) -> list[WorkerState]:
        """The workers that have not left, and what each holds."""
        return await self._services.store.workers()

    async def jobs(
        self, *, limit: int = 100, wanted: JobFilter = EVERY_JOB, after: str | None = None
    ) -> list[Report]:
        """The reports of the jobs that are wanted, newest first; a page of them after a job.

        Raises:
            UsageError: there is no job ``after``.
        """
        if after is not None:
            after = (await self._services.store.job(after)).id
        return await self._reports.newest(limit, wanted, after)

    async def last(self) -> Job:
        """The newest job.

        Raises:
            UsageError: there is none.
        """
        newest = await self._services.store.jobs(limit=1)
        if not newest:
            raise UsageError("there is no job yet: `batcher run KIND INPUT -o OUTPUT` makes one")
        return newest[0]

    async def status(self, job_id: str) -> Report:
        """The report of one job, by its id or a unique beginning of it.

        Raises:
            UsageError: there is no such job, or several.
        """
        return await self._report(await self._services.store.job(job_id))

    async def errors(self, job_id: str, *, after: int | None = None) -> AsyncIterator[DeadLetter]:
        """The failures of a job, one for each failed row, in input order.

        ``after`` is a row's number: those of the rows behind it.
        """
        job = await self._services.store.job(job_id)
        async for letter in self._delivery.errors(job.id, after=after):
            yield letter

    def results(
        self, job_id: str, *, failed: Failed = "omit", after: Cursor | None = None
    ) -> AsyncGenerator[Result, None]:
        """The results that a job has by now, one for each output record, in input order.

        ``failed`` says what becomes of rows without one: :class:`batcher.engine.job.report.Report`.
        ``after`` is the ``cursor`` of a result: those behind it, without reading what is before.
        """
        return self.records.results(job_id, failed, after=after)

    @cached_property
    def records(self) -> Records:
        """What jobs made, in larger pieces than one by one."""
        from batcher.engine.delivery.records import Records

        return Records(self._services.store, self._services.files)

    async def export(
        self,
        job_id: str,
        *,
        output: str,
        output_format: str | None = None,
        partial: bool = False,
        overwrite: bool = False,
        protect: Sequence[str] = (),
        csv_safe: bool = False,
        failed_rows: str = "omit",
    ) -> Report:
        """Write a job's results, errors and manifest; arguments as for :meth:`run`.

        Raises:
            UsageError: the job is not complete, and ``partial`` was not asked for; or the output
                would replace what is not this job's.
        """
        from batcher.engine.delivery.overwriting import Output

        job = await self._services.store.job(job_id)
        if job.state is not JobState.COMPLETE and not partial:
            go_on = "" if job.state is JobState.CANCELLED else "run it again, or "
            raise UsageError(
                f"job {job.id} is not complete ({job.state}): {go_on}export what there is with "
                "--partial"
            )
        report = await self._report(job)
        target = Output.named(
            output,
            output_format,
            overwrite=overwrite,
            csv_safe=csv_safe,
            failed_rows=failed_rows,
        ).of(job)
        await asyncio.to_thread(self._delivery.check, target, job.description, protect)
        delivered = await self._delivery.deliver(job, report, target, partial=partial)
        await self._remember(job, target)
        return delivered

    async def _remember(self, job: Job, target: Output) -> None:
        """Keep where a job's records go, to say so later."""
        from batcher.engine.delivery.deliverer import remember

        await remember(self._services, job, target)

    # --- acting -------------------------------------------------------------------------------

    async def retry(self, job_id: str, *, codes: Collection[str] = ()) -> tuple[Report, int]:
        """Reopen the failed rows that a retry may help; returns how many, too.

        Args:
            job_id: the job, or a unique beginning of its id.
            codes: only failed rows of these codes; all where there are none.

        Raises:
            JobInUse: a process is running the job.
            UsageError: no row failed with one of these codes.
        """
        store = self._services.store
        job = await store.job(job_id)
        with self._services.lock(job.id):
            reopened = 0
            failures = await store.failures(job.id)
            _check_codes(job.id, codes, failures)
            if any(not one.final and (not codes or one.code in codes) for one in failures):
                await store.move(job.id, JobEvent.RETRY)
                reopened = await store.reopen_dead(job.id, codes=codes)
                await self._services.doorbell.ring(job.id)
        return await self._report(await store.job(job.id)), reopened

    async def pause(self, job_id: str) -> Report:
        """Stop sending; what is in flight is settled and kept."""
        store = self._services.store
        job = await store.job(job_id)
        return await self._report(await apply_ending(store, job.id, Endings.by_hand()))

    async def resume(self, job_id: str) -> Report:
        """Let workers go on with a job."""
        store = self._services.store
        job = await store.job(job_id)
        report = await self._report(await store.move(job.id, JobEvent.RESUME))
        await self._services.doorbell.ring(job.id)
        return report

    async def cancel(self, job_id: str) -> Report:
        """Stop a job for good; what is paid for is kept and can be exported with ``partial``."""
        store = self._services.store
        job = await store.job(job_id)
        return await self._report(await store.move(job.id, JobEvent.CANCEL))

    async def remove(self, job_id: str) -> Report:
        """Delete a job with all that is kept of it; returns what it was. Output files stay.

        Raises:
            JobInUse: something works on it: a process, workers, or a job that carries its results
                over.
        """
        from batcher.engine.job.purging import remove

        store = self._services.store
        job = await store.job(job_id)
        with self._services.lock(job.id):
            report = await self._report(await store.job(job.id))
            await remove(store, job.id)
        return report

    async def purge(self, older_than_seconds: float) -> list[str]:
        """Delete complete and cancelled jobs that ended so long ago; returns their ids.

        One whose results another job is still carrying over stays.
        """
        from batcher.engine.job.purging import purge

        return await purge(self._services.store, self._services.clock.wall() - older_than_seconds)

    async def give_back(self) -> Space:
        """Give the disk back what deleted jobs took, as far as nobody has to wait for it.

        An SQLite file that an older version made is rewritten for that, where nobody else uses it
        and there is room; a Postgres hands on what lies at the end of its tables.
        """
        return await self._services.store.give_back()


def _check_codes(job_id: str, codes: Collection[str], failures: Sequence[FailureCount]) -> None:
    there = {one.code: one.dead_letters for one in failures}
    for code in codes:
        if code not in there:
            known = ", ".join(f"{letters} {code}" for code, letters in there.items())
            others = f"; others failed: {known}" if known else ", and none with another code"
            raise UsageError(f"no row of job {job_id} failed with {code!r}{others}")
