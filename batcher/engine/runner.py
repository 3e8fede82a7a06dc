"""Everything that can be done with jobs, as one object: what the command line and the API call.

What is done with jobs that are there stands in :mod:`batcher.engine.jobs`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

from batcher.core.model import JobEvent, JobState
from batcher.engine.job.endings import Ending, Endings, apply_ending
from batcher.engine.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batcher.core.job.delivery import DeliverySpec
    from batcher.core.job.spec import JobSpec
    from batcher.core.model import Job
    from batcher.engine.delivery.overwriting import Output
    from batcher.engine.job.report import Report
    from batcher.engine.opening.binding import Bound
    from batcher.engine.opening.estimate import Estimate
    from batcher.engine.opening.intake import Intake, Told
    from batcher.engine.opening.preview import Preview
    from batcher.engine.opening.schedules import Schedules
    from batcher.engine.running.run import JobRun
    from batcher.engine.services import Services
    from batcher.engine.telemetry.run_stats import RunStats
    from batcher.ports import InputSource


class Runner(Jobs):
    """Runs jobs, and answers for them. Open one with :func:`batcher.open_runner`.

    What only one method needs is imported there: whoever looks at jobs needs a third of a run's
    modules.
    """

    def __init__(self, services: Services) -> None:
        """Not for direct use."""
        super().__init__(services)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{id(self):x}"
        self._runs = count(1)  # a run that was cancelled holds leases that only itself may use
        self._running: dict[str, JobRun] = {}

    def __repr__(self) -> str:
        """Who it is to the store."""
        return f"<Runner {self._owner}>"

    @cached_property
    def _intake(self) -> Intake:
        from batcher.engine.opening.intake import Intake

        return Intake(self._services)

    # --- running ------------------------------------------------------------------------------

    async def run(
        self,
        spec: JobSpec,
        *,
        output: str | None = None,
        output_format: str | None = None,
        csv_safe: bool = False,
        failed_rows: str = "omit",
        fresh: bool = False,
        overwrite: bool = False,
        protect: Sequence[str] = (),
        on_live: Callable[[RunStats], None] | None = None,
        on_told: Told | None = None,
        source: InputSource | None = None,
    ) -> Report:
        """Check, plan, send and export; again after any end, to go on where it stopped.

        Several jobs may run at once: in a ``TaskGroup``, say. They share what one process may send
        at a time, and the limits of their providers.

        Args:
            spec: what to do.
            output: where the records go; without one the results stay in the database.
            output_format: the output's format, where its name does not say it.
            csv_safe: see :class:`batcher.engine.delivery.files.Output`.
            failed_rows: ``omit`` rows that failed, or ``null``: they have a record, too.
            fresh: begin anew even if the same job was run before.
            overwrite: replace what stands there, though no manifest says that it is this job's.
            protect: files that are never replaced, besides what the spec names and the database.
            on_live: is given the run's live figures once, before anything is sent.
            on_told: is told, before that, how much of a job with ``since_last`` will be sent.
            source: the input where it is no file; ``spec.input`` is what it is called then. It is
                closed at the end.

        Returns:
            The report. Look at its ``status``; failed rows, a budget or a pausing provider are
            no exceptions.

        Raises:
            UsageError: the spec is wrong.
            InputError: the input is; nothing was sent.
            JobInUse: another process is running this job.
        """
        from batcher.core.job.delivery import DeliverySpec
        from batcher.engine.delivery.overwriting import Output

        bound = await self._intake.bind(spec)
        target = delivery = None
        if output is not None:
            target = Output.named(
                output,
                output_format,
                overwrite=overwrite,
                csv_safe=csv_safe,
                failed_rows=failed_rows,
            )
            delivery = DeliverySpec(
                output=target.path,
                format=output_format,
                overwrite=overwrite,
                csv_safe=csv_safe,
                failed_rows=failed_rows,
            )
        await asyncio.to_thread(self._delivery.check, target, bound.description, protect)
        check = self._delivery.check_of(target, bound.description, protect)
        with source or await self._intake.open(spec) as source:
            facts = await self._intake.check(bound, source, on_told or _unheard)
            if not fresh:
                bound = await self._intake.as_begun(bound, facts, on_told or _unheard)
            told = on_told or _unheard
            job = await self._intake.open_job(
                bound, facts, fresh=fresh, delivery=delivery, check=check, told=told
            )
            with self._services.lock(job.id):
                return await self._run_locked(job, bound, source, target, on_live, on_told)

    async def _run_locked(
        self,
        job: Job,
        bound: Bound,
        source: InputSource,
        target: Output | None,
        on_live: Callable[[RunStats], None] | None,
        on_told: Told | None,
    ) -> Report:
        store = self._services.store
        if target is not None:
            target = target.of(job)
            await self._remember(job, target)
        job = await store.job(job.id)
        before = await store.tally(job.id)
        ending = Endings.complete()
        sent = job.state is not JobState.COMPLETE
        if sent:
            owner = f"{self._owner}:{next(self._runs)}"
            await store.reclaim(job.id, except_owner=owner)
            told = on_told or _unheard
            ending = await self._go_on(job, bound, source, owner, on_live, told)
            job = await store.job(job.id)
        if job.state is JobState.COMPLETE:  # it may have been submitted, to be delivered elsewhere
            await self._deliver(job)
        report = await self._report(job, ending, sent=sent, before=before)
        if job.state is JobState.COMPLETE and target is not None:
            report = await self._delivery.deliver_once(job, report, target)
        return report

    async def _deliver(self, job: Job) -> None:
        """Deliver a job that is complete, where that is still to be done and nobody does."""
        if await self._services.store.delivery(job.id) is None:
            return
        from batcher.engine.delivery.deliverer import Deliverer
        from batcher.engine.telemetry.run_telemetry import null_log

        await Deliverer(self._services, self._owner, null_log).deliver(job.id)

    async def _go_on(
        self,
        job: Job,
        bound: Bound,
        source: InputSource,
        owner: str,
        on_live: Callable[[RunStats], None] | None,
        told: Told,
    ) -> Ending:
        """Open the job again, and work on it until something ends it."""
        from batcher.core.money.prices import dollars
        from batcher.engine.running.run import JobRun, begin_live
        from batcher.engine.running.run_parts import Work
        from batcher.engine.telemetry.run_telemetry import TelemetrySinks

        store, spec = self._services.store, bound.spec
        budget = bound.budget_picousd
        await store.set_budget(job.id, budget)
        tally = await store.tally(job.id)
        committed = tally.usage.cost_picousd + tally.doubt.cost_picousd
        if budget is not None and committed >= budget:
            reason = f"${dollars(committed)} of it are spent: --max-cost must be higher to go on"
            await apply_ending(store, job.id, ending := Endings.out_of_budget(reason))
            return ending
        job = await store.move(job.id, JobEvent.RESUME)
        live = begin_live(self._services.clock, job, bound, tally)
        async with self._services.connect(spec) as connection:
            await connection.throttle.check(connection.quota)  # a worker waits for it instead
            work = Work(
                job=job,
                bound=bound,
                services=self._services,
                connection=connection,
                owner=owner,
                live=live,
                sinks=TelemetrySinks(),
            )
            run = JobRun(work, self._intake.planning(bound, job, source, told))
            self._running[job.id] = run
            try:
                if on_live is not None:
                    on_live(live)
                ending = await run.run()
                live.phase = "exporting"
                return ending
            finally:
                del self._running[job.id]

    @property
    def running(self) -> tuple[str, ...]:
        """The jobs that this runner is sending now, by id, in the order in which they began."""
        return tuple(self._running)

    def interrupt(self, job_id: str | None = None) -> bool:
        """End the run of a job in good order, or without one all runs; others go on.

        What is in flight is settled and kept, and :meth:`run` returns a report that says so.

        Returns:
            Whether there was one to end: a job that is not being sent yet is none.
        """
        ended = [run for id_, run in self._running.items() if job_id in (None, id_)]
        for run in ended:
            run.end(Endings.interrupted())
        return bool(ended)

    # --- for workers to do --------------------------------------------------------------------

    async def submit(
        self,
        spec: JobSpec,
        *,
        fresh: bool = False,
        delivery: DeliverySpec | None = None,
        on_planned: Callable[[int], None] | None = None,
        on_told: Told | None = None,
        source: InputSource | None = None,
    ) -> Report:
        """Check and plan here, and leave the sending to workers, who begin at the first shard.

        Again, after any end, to go on planning. Workers deliver the results as ``delivery`` says;
        without it they stay in the database. ``on_planned`` is told the rows planned by now,
        ``on_told`` how much of a job with ``since_last`` will be sent. ``source`` is as for
        :meth:`run`: only this process can plan it.

        Raises:
            UsageError: the spec is wrong, or no worker could deliver there.
            InputError: the input is, or it changed while it was being planned.
        """
        from batcher.engine.opening.submission import Submission

        submission = Submission(
            self._services,
            owner=f"{self._owner}:{next(self._runs)}",
            on_planned=on_planned or (lambda rows: None),
            told=on_told or _unheard,
        )
        job = await submission.submit(spec, fresh=fresh, delivery=delivery, source=source)
        return await self._report(job, Endings.of(job) if job.state is JobState.PAUSED else None)

    async def ask(
        self,
        spec: JobSpec,
        *,
        fresh: bool = False,
        delivery: DeliverySpec | None = None,
        on_waiting: Callable[[int], None] | None = None,
        on_refused: Callable[[str], None] | None = None,
    ) -> Report:
        """Have a worker check the input, open the job and plan it; returns when it is open.

        The input is a path as the workers see it, or a URL; they deliver the results as
        ``delivery`` says. ``on_waiting`` is told, again and again, how many workers are alive;
        ``on_refused`` why a worker has left it to others, which may be allowed more.

        Raises:
            UsageError: the spec is wrong.
            OrderFailed: the input is.
        """
        from batcher.engine.opening.orders import place_and_wait

        job = await place_and_wait(
            self._services,
            spec,
            delivery,
            fresh=fresh,
            on_waiting=on_waiting or (lambda alive: None),
            on_refused=on_refused or (lambda reason: None),
        )
        return await self._report(job)

    @property
    def schedules(self) -> Schedules:
        """What is to be run when."""
        from batcher.engine.opening.schedules import Schedules

        return Schedules(self._services)

    # --- looking before -----------------------------------------------------------------------

    async def estimate(
        self,
        spec: JobSpec,
        *,
        on_told: Told | None = None,
        source: InputSource | None = None,
    ) -> Estimate:
        """Rows, requests, tokens, cost and time; sends nothing and keeps nothing.

        ``on_told`` is told what was guessed of the input; ``source`` is as for :meth:`run`.

        Raises:
            UsageError: the spec is wrong.
            InputError: the input is.
        """
        from batcher.engine.opening.estimate import estimated

        bound = await self._intake.bind(spec)
        with source or await self._intake.open(spec) as source:
            facts = await self._intake.check(bound, source, on_told or _unheard)
            job = await self._intake.new_job(bound, facts)
            reuse = self._intake.reuse(bound, job.description.since, _unheard)
            return await estimated(bound, source, job, self._services.open_guard(), reuse)

    async def preview(
        self, spec: JobSpec, *, send: bool = False, on_told: Told | None = None
    ) -> Preview:
        """The exact requests of the first rows, of as many as the spec's limit says (3 otherwise).

        With ``send`` these rows are sent, and the preview has their answers. Nothing is kept: open
        the runner on ``memory://``, so that not even a crash would leave anything.

        Raises:
            UsageError: the spec is wrong.
            InputError: the input is.
        """
        from batcher.engine.opening.preview import previewed, spec_of_preview, with_answers

        told = on_told or _unheard
        bound = await self._intake.bind(spec_of_preview(spec))
        with await self._intake.open(bound.spec) as source:
            facts = await self._intake.check(bound, source, told)
            job = await self._intake.new_job(bound, facts)
            preview = await previewed(bound, source, job, self._services.open_guard())
            if not send or not preview.requests:
                return preview
            self._services.check_connection(bound.spec)
            job, _ = await self._services.store.open_job(job, fresh=True)
            try:
                owner = f"{self._owner}:{next(self._runs)}"
                ending = await self._go_on(job, bound, source, owner, None, told)
                report = await self._report(await self._services.store.job(job.id), ending)
                results = [result async for result in self.results(job.id)]
                letters = [letter async for letter in self.errors(job.id)]
                return with_answers(preview, report, results, letters)
            finally:
                await self._services.store.purge(job.id)


def _unheard(sentence: str) -> None:
    """Nobody listens."""
