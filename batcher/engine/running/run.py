"""One run of one job: plan, lease, send, checkpoint, until all is done or something ends it.

The tasks share nothing but what is passed to them here; every one of them has a name. A run that is
stopped settles what is in flight, writes it down, and gives its leases back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from batcher.core.errors import IllegalTransition
from batcher.core.model import Job, Tally
from batcher.engine.job.endings import Ending, Endings, apply_ending
from batcher.engine.job.report import rows_total
from batcher.engine.opening.binding import Bound
from batcher.engine.planning.plan_writer import Planning
from batcher.engine.running.leasing import Finish, Leasing
from batcher.engine.running.run_parts import Parts, Work, make_parts
from batcher.engine.running.run_plan import RunPlan, end_where_cramped
from batcher.engine.running.watching import (
    Figures,
    LearnedKeeper,
    OutageWatch,
    TakeOver,
    Watch,
)
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.wakeup import Wakeup
from batcher.ports import Checkpoint, Clock


def begin_live(clock: Clock, job: Job, bound: Bound, base: Tally) -> RunStats:
    """The figures of a run at its beginning; ``base`` is what the job is by now."""
    rows = rows_total(job, bound.description)
    return RunStats(
        rows=rows,
        base=base,
        started_at=clock.now(),
        rows_planned=rows if job.planned else job.plan_row,
        priced=bound.price is not None,
        job=job.id,
    )


class JobRun:
    """One owner's work on one job."""

    def __init__(self, work: Work, planning: Planning | None = None) -> None:
        """``planning`` is None where the plan is written, or is somebody else's to write."""
        self._work = work
        self._ending: Ending | None = None
        self._ended = asyncio.Event()
        self._news = Wakeup()
        self._parts = parts = make_parts(work, end=self.end, on_flush=self._flushed)
        self._plan = RunPlan(work, planning, news=self._news.set, end=self.end)
        finish = Finish(
            work,
            self._plan,
            parts.gate,
            verdicts=parts.settling.verdicts,
            vectors=parts.settling.vectors,
            end=self.end,
        )
        self._leasing = Leasing(
            parts.leases,
            parts.route,
            finish,
            self._plan,
            shared=work.shared,
            ended=self._ended.is_set,
        )
        self._figures = _figures(parts)
        self._learned = LearnedKeeper(work, parts.basis.requests.learning)
        self._watch = self._watching(finish)

    def _watching(self, finish: Finish) -> Watch:
        work, parts = self._work, self._parts
        outage = OutageWatch(
            work,
            parts.settling.state,
            parts.settling.passing,
            all_claimed=lambda: self._leasing.all_claimed,
            end=self.end,
        )
        looks = [self._figures.show, self._learned.keep, self._look_at_money, outage.look]
        if work.shared:
            looks.insert(1, TakeOver(parts.leases).look)
            looks.append(finish.hear_of_success)
        return Watch(work, looks, [self._hear_of_vectors, self._plan.hear], self.end)

    def end(self, ending: Ending) -> None:
        """Stop the run; the first reason counts."""
        if self._ending is None:
            self._ending = ending
            self._ended.set()
            self._parts.route.halt()

    async def run(self) -> Ending:
        """Work until the end, and move the job accordingly.

        Raises:
            batcher.core.errors.BatcherError: planning or the store failed; what was settled is
                written down where the store still can.
        """
        end_where_cramped(self._work.services.store, self.end)
        try:
            with self._parts.route.open():
                await self._work_until_ended()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._parts.basis.checkpoint_writer.close()
        assert self._ending is not None
        ending = await self._move(self._ending)
        error = self._plan.error or ending.error
        if error is not None:
            raise error
        return ending

    async def _work_until_ended(self) -> None:
        """Have all tasks of the run going until it ends, and what is in flight settled."""
        parts = self._parts
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(work, name=f"{name} {self._work.job.id}")
                for name, work in (
                    ("checkpoints", parts.basis.checkpoint_writer.run()),
                    ("route", parts.route.run(parts.settling.settler, self._news.set)),
                    ("planning", self._plan.write()),
                    ("leasing", self._leasing.run(self._news)),
                    ("renewing", parts.leases.renew()),
                    ("watching", self._watch.run()),
                )
            ]
            await self._ended.wait()
            await self._wind_down()
            for task in background:
                task.cancel()

    async def _move(self, ending: Ending) -> Ending:
        """Move the job as its ending says, unless somebody else has ended it meanwhile."""
        if ending.event is None:
            return ending
        store, job_id = self._work.services.store, self._work.job.id
        try:
            await apply_ending(store, job_id, ending)
        except IllegalTransition:
            return Endings.of(await store.job(job_id))
        return ending

    async def _look_at_money(self) -> None:
        if await self._parts.budget_guard.is_out_of_money():
            self.end(Endings.out_of_budget("the next request might cost more than is left"))

    async def _hear_of_vectors(self, job: Job) -> None:
        await self._parts.settling.vectors.hear(job.learned.dimension)

    def _flushed(self, committed: Sequence[Checkpoint], seconds: float) -> None:
        end_where_cramped(self._work.services.store, self.end)
        self._parts.basis.telemetry.committed(committed, seconds)
        self._parts.budget_guard.committed(committed)
        self._parts.gate.queue.wake()
        self._news.set()

    async def _wind_down(self) -> None:
        """Send no more, settle what is in flight within the grace time, write it down."""
        self._work.live.phase = "finishing"
        await self._parts.route.drain(self._work.bound.spec.grace_seconds)
        await self._parts.basis.checkpoint_writer.flush(release=True)
        await self._figures.show()
        await self._learned.keep()


def _figures(parts: Parts) -> Figures:
    return Figures(
        parts.basis.telemetry,
        parts.route,
        state=parts.settling.state,
        checkpoint_writer=parts.basis.checkpoint_writer,
    )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group: what really went wrong."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
