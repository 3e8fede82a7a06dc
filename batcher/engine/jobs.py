"""What is done with jobs that are there: looking at them, and acting on them. Nothing is sent."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING

from batcher.core.errors import UsageError
from batcher.core.model import JobEvent, JobState
from batcher.engine.description import Description
from batcher.engine.ending import Endings, put_down
from batcher.engine.listing import Reports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from batcher.core.model import DeadLetter
    from batcher.engine.adapters import Adapters
    from batcher.engine.delivery import Delivery
    from batcher.engine.live import Live
    from batcher.engine.report import Report
    from batcher.engine.results import Result
    from batcher.ports import Space, WorkerState


class Jobs:
    """The jobs of one database. What only one method needs is imported there."""

    def __init__(self, adapters: Adapters) -> None:
        """``adapters`` know them."""
        self._adapters = adapters
        self._reports = Reports(adapters)
        self._report = self._reports.of

    @cached_property
    def _delivery(self) -> Delivery:
        from batcher.engine.delivery import Delivery

        return Delivery(self._adapters.store, self._adapters.files)

    # --- looking ----------------------------------------------------------------------------------

    async def watch(self, job_id: str, *, on_live: Callable[[Live], None]) -> Report:
        """Follow a job that others work on until it is not open any more.

        ``on_live`` is given figures that are kept up to date.
        """
        from batcher.engine.following import follow

        store, clock = self._adapters.store, self._adapters.clock
        described = Description.read(job := await store.job(job_id))
        priced = await asyncio.to_thread(self._reports.is_priced, described)
        job = await follow(store, clock, job.id, priced=priced, on_live=on_live)
        return await self._report(job, Endings.of(job))

    async def workers(self) -> list[WorkerState]:
        """The workers that have not left, and what each holds."""
        return await self._adapters.store.workers()

    async def jobs(self, *, limit: int = 100) -> list[Report]:
        """The reports of all jobs, newest first."""
        return await self._reports.newest(limit)

    async def status(self, job_id: str) -> Report:
        """The report of one job, by its id or a unique beginning of it.

        Raises:
            UsageError: there is no such job, or several.
        """
        return await self._report(await self._adapters.store.job(job_id))

    async def errors(self, job_id: str) -> AsyncIterator[DeadLetter]:
        """The dead letters of a job, one for each failed row, in input order."""
        job = await self._adapters.store.job(job_id)
        async for letter in self._delivery.errors(job.id):
            yield letter

    async def results(self, job_id: str) -> AsyncIterator[Result]:
        """The results that a job has by now, one for each output record, in input order."""
        from batcher.engine.exporter import batches
        from batcher.engine.results import results_of

        job = await self._adapters.store.job(job_id)
        async for batch in batches(self._adapters.store, job, Description.read(job)):
            for result in results_of(batch):
                yield result

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
    ) -> Report:
        """Write a job's results, errors and manifest; arguments as for :meth:`run`.

        Raises:
            UsageError: the job is not complete, and ``partial`` was not asked for; or the output
                would replace what is not this job's.
        """
        from batcher.engine.overwriting import Output

        job = await self._adapters.store.job(job_id)
        if job.state is not JobState.COMPLETE and not partial:
            go_on = "" if job.state is JobState.CANCELLED else "run it again, or "
            raise UsageError(
                f"job {job.id} is not complete ({job.state}): {go_on}export what there is with "
                "--partial"
            )
        report = await self._report(job)
        target = Output.named(output, output_format, overwrite=overwrite, csv_safe=csv_safe)
        await asyncio.to_thread(self._delivery.check, target, Description.read(job), protect)
        return await self._delivery.deliver(job, report, target, partial=partial)

    # --- acting -------------------------------------------------------------------------------

    async def retry(self, job_id: str) -> tuple[Report, int]:
        """Open the dead letters that a retry may help; returns how many, too.

        Raises:
            JobInUse: a process is running the job.
        """
        store = self._adapters.store
        job = await store.job(job_id)
        with self._adapters.lock(job.id):
            reopened = 0
            if any(not failure.final for failure in await store.failures(job.id)):
                await store.move(job.id, JobEvent.RETRY)
                reopened = await store.reopen_dead(job.id)
                await self._adapters.doorbell.ring(job.id)
        return await self._report(await store.job(job.id)), reopened

    async def pause(self, job_id: str) -> Report:
        """Stop sending; what is in flight is settled and kept."""
        store = self._adapters.store
        job = await store.job(job_id)
        return await self._report(await put_down(store, job.id, Endings.by_hand()))

    async def resume(self, job_id: str) -> Report:
        """Let workers go on with a job."""
        store = self._adapters.store
        job = await store.job(job_id)
        report = await self._report(await store.move(job.id, JobEvent.RESUME))
        await self._adapters.doorbell.ring(job.id)
        return report

    async def cancel(self, job_id: str) -> Report:
        """Stop a job for good; what is paid for is kept and can be exported with ``partial``."""
        store = self._adapters.store
        job = await store.job(job_id)
        return await self._report(await store.move(job.id, JobEvent.CANCEL))

    async def purge(self, older_than_seconds: float) -> list[str]:
        """Delete complete and cancelled jobs that ended so long ago; returns their ids.

        One whose results another job is still carrying over stays.
        """
        from batcher.engine.purging import purge

        return await purge(self._adapters.store, self._adapters.clock.wall() - older_than_seconds)

    async def give_back(self) -> Space:
        """Give the disk back what deleted jobs took, as far as nobody has to wait for it.

        An SQLite file that an older version made is rewritten for that, where nobody else uses it
        and there is room; a Postgres hands on what lies at the end of its tables.
        """
        return await self._adapters.store.give_back()
