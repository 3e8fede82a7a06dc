"""A job put into the store for workers to find: planned here, where its input is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from batcher.core.errors import IllegalTransition
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.spec import JobSpec
from batcher.core.model import Job, JobEvent, JobState
from batcher.engine.job.endings import Endings, apply_ending
from batcher.engine.opening.binding import Bound
from batcher.engine.opening.destination import check_destination, day_of, set_destination
from batcher.engine.opening.intake import Intake, Told, unheard
from batcher.engine.planning.plan_writer import PlanLease, PlanWriter
from batcher.engine.services import Services
from batcher.ports import InputSource, NewShard

_LOOK_AGAIN_SECONDS = 1.0


class Submission:
    """One job on its way to the workers."""

    def __init__(
        self, services: Services, *, owner: str, on_planned: Callable[[int], None], told: Told
    ) -> None:
        """``on_planned`` is told the number of rows in the plan whenever that grows.

        ``told`` hears how much of an incremental job will be sent.
        """
        self._told = told
        self._services = services
        self._intake = Intake(services)
        self._owner = owner
        self._on_planned = on_planned

    async def submit(
        self,
        spec: JobSpec,
        *,
        fresh: bool,
        delivery: DeliverySpec | None = None,
        source: InputSource | None = None,
    ) -> Job:
        """Check the input, open the job, plan it. Workers start at the first shard, and deliver.

        ``source`` is the input where it is no file; it is closed at the end.

        Raises:
            UsageError: the spec is wrong.
            InputError: the input is, or it changed while it was being planned.
            NotAllowed: who asks may not have this done.
        """
        bound = await self._intake.bind(spec)
        output = None if delivery is None else delivery.output
        self._services.check_asked(bound.spec, output, reads=False)
        if delivery is not None:
            await asyncio.to_thread(check_destination, self._services, bound, delivery)
        with source or await self._intake.open(spec) as source:
            facts = await self._intake.check(bound, source, self._told)
            if not fresh:
                bound = await self._intake.as_begun(bound, facts, self._told)
            store = self._services.store
            job, _ = await store.open_job(
                await self._intake.new_job(bound, facts, delivery), fresh=fresh
            )
            bound.check_taken_up(job)
            if delivery is not None:
                await set_destination(
                    self._services, job, delivery, day_of(delivery, job.created_at)
                )
            if job.state is not JobState.COMPLETE:
                await store.set_budget(job.id, bound.budget_picousd)
                job = await store.move(job.id, JobEvent.RESUME)
                await self._services.doorbell.ring(job.id)
                await self._plan(job, bound, source)
            return await store.job(job.id)

    async def _plan(self, job: Job, bound: Bound, source: InputSource) -> None:
        """Write the plan; where somebody else is writing it, wait for him, or for his end."""
        store, clock = self._services.store, self._services.clock
        told = self._told
        while not job.planned and job.state is JobState.OPEN:
            written = await write_plan(
                self._services, job, bound, source, owner=self._owner, wrote=self._wrote, told=told
            )
            if written:
                break
            told = unheard  # it was said once
            await clock.sleep(_LOOK_AGAIN_SECONDS)
            job = await store.job(job.id)
            self._on_planned(job.plan_row)
        if not await store.complete(job.id):  # as it is where every row is carried over
            await self._services.doorbell.ring(job.id)

    def _wrote(self, shard: NewShard) -> None:
        self._on_planned(shard.first_row + shard.rows)


async def write_plan(
    services: Services,
    job: Job,
    bound: Bound,
    source: InputSource,
    *,
    owner: str,
    wrote: Callable[[NewShard], None] = lambda shard: None,
    told: Told = unheard,
) -> bool:
    """Write what is left of a job's plan; False where another owner does, or the job is paused.

    Raises:
        InputError: the input is not what the job was opened for, which is cancelled.
        KindFailed: the kind's own code is at fault; the job is paused.
        Exception: whatever an input may make be raised; the job is paused, unless it may pass.
    """
    left = Intake(services).planning(bound, job, source, told)
    if left is None:
        return True
    lease = PlanLease(services.store, services.clock, job.id, owner, services.lease_seconds)
    writer = PlanWriter(
        left,
        lease,
        services.store,
        services.clock,
        wrote=wrote,
        stop_at_dead=bound.spec.on_error == "stop",
    )
    try:
        return await writer.write()
    except Exception as error:
        ending = Endings.of_planning(error)
        if ending.event is not None:
            with suppress(IllegalTransition):  # it is over
                await apply_ending(services.store, job.id, ending)
        raise
