"""One run of one job: plan, lease, send, checkpoint, until all is done or something ends it.

The tasks share nothing but what is passed to them here; every one of them has a name. A run that is
stopped settles what is in flight, writes it down, and gives its leases back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import count

from batcher.core.errors import IllegalTransition, InputError
from batcher.core.model import Job, JobState, Tally
from batcher.engine.job.endings import LEAST_ROOM_BYTES, Ending, Endings, apply_ending
from batcher.engine.job.report import rows_total
from batcher.engine.opening.binding import Bound
from batcher.engine.planning.plan_writer import Planning, PlanWriter
from batcher.engine.running.parts import Work, make_parts
from batcher.engine.services import Connection, Services
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.telemetry.run_telemetry import TelemetrySinks
from batcher.engine.wakeup import Wakeup
from batcher.ports import Checkpoint, Clock, NewShard

_CLAIMED_AT_ONCE = 4
_LOOK_AGAIN_SECONDS = 1.0
_LOOKS_FOR_THE_DEAD = 3


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

    def __init__(
        self,
        job: Job,
        bound: Bound,
        *,
        services: Services,
        connection: Connection,
        owner: str,
        live: RunStats,
        planning: Planning | None = None,
        linger_seconds: float | None = None,
        sinks: TelemetrySinks | None = None,
    ) -> None:
        """``planning`` is None where the plan is written, or is somebody else's to write.

        With ``linger_seconds`` others may work on the job, too: the run ends when there was
        nothing to claim for so long.
        """
        self._work = Work(
            job=job,
            bound=bound,
            services=services,
            connection=connection,
            owner=owner,
            live=live,
            sinks=sinks or TelemetrySinks(),
            shared=linger_seconds is not None,
        )
        self._job = job
        self._spec = bound.spec
        self._live = live
        self._store, self._clock = services.store, services.clock
        self._planning = planning
        self._planned = job.planned
        self._linger_seconds = linger_seconds
        self._idle_since: float | None = None
        self._at_once = _CLAIMED_AT_ONCE if linger_seconds is None else 1  # leave some to others
        self._ending: Ending | None = None
        self._error: Exception | None = None
        self._ended = asyncio.Event()
        self._all_claimed = False
        self._hungry = Wakeup()
        parts = make_parts(self._work, end=self.end, on_flush=self._flushed)
        self._requests = parts.basis.requests
        self._kept = self._requests.learned
        self._telemetry = parts.basis.telemetry
        self._checkpoint_writer = parts.basis.checkpoint_writer
        self._in_flight = parts.route.in_flight
        self._state = parts.route.state
        self._queue = parts.route.queue
        self._dispatcher = parts.route.dispatcher
        self._verdicts = parts.settling.verdicts
        self._passing = parts.settling.passing
        self._vectors = parts.settling.vectors
        self._senders = parts.senders
        self._leases = parts.leases
        self._budget_guard = parts.budget_guard

    def end(self, ending: Ending) -> None:
        """Stop the run; the first reason counts."""
        if self._ending is None:
            self._ending = ending
            self._ended.set()
            self._dispatcher.halt()

    async def run(self) -> Ending:
        """Work until the end, and move the job accordingly.

        Raises:
            batcher.core.errors.BatcherError: planning or the store failed; what was settled is
                written down where the store still can.
        """
        self._mind_room()
        try:
            with self._dispatcher.seated():
                await self._work_until_ended()
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            self._checkpoint_writer.close()
        assert self._ending is not None
        ending = await self._move(self._ending)
        if self._error is not None:
            raise self._error
        return ending

    async def _work_until_ended(self) -> None:
        """Have all tasks of the run going until it ends, and what is in flight settled."""
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(work, name=f"{name} {self._job.id}")
                for name, work in (
                    ("checkpoints", self._checkpoint_writer.run()),
                    ("pump", self._pump(tasks)),
                    ("planning", self._plan()),
                    ("leasing", self._lease()),
                    ("renewing", self._leases.renew()),
                    ("watching", self._watch()),
                )
            ]
            await self._ended.wait()
            await self._wind_down()
            for task in background:
                task.cancel()

    async def _pump(self, tasks: asyncio.TaskGroup) -> None:
        await self._dispatcher.pump(partial(self._senders.start, group=tasks), self._hungry.set)

    async def _move(self, ending: Ending) -> Ending:
        """Move the job as its ending says, unless somebody else has ended it meanwhile."""
        if ending.event is None:
            return ending
        try:
            await apply_ending(self._store, self._job.id, ending)
        except IllegalTransition:
            return Endings.of(await self._store.job(self._job.id))
        return ending

    # --- planning and leasing -----------------------------------------------------------------

    async def _plan(self) -> None:
        """Write what is left of the plan, where that is this run's to do."""
        if self._planning is None:
            return
        writer = PlanWriter(
            self._planning,
            job_id=self._job.id,
            owner=self._work.owner,
            store=self._store,
            clock=self._clock,
            lease_seconds=self._work.services.lease_seconds,
            wrote=self._wrote,
        )
        try:
            written = await writer.write()
        except Exception as error:  # noqa: BLE001 - an input may make anything be raised
            ending = Endings.of_planning(error)
            told = ending.event is not None and not isinstance(error, InputError)
            self._error = None if told else error
            self.end(ending)
            return
        if written:
            self._planned = True
            self._hungry.set()

    def _wrote(self, shard: NewShard) -> None:
        self._mind_room()
        self._live.rows_planned = shard.first_row + shard.rows
        self._live.dead += len(shard.dead)
        if shard.carried is not None:
            self._live.carry(shard.carried.rows)
        if shard.dead and self._spec.on_error == "stop":
            self.end(Endings.at_dead_letter())
        self._hungry.set()

    async def _lease(self) -> None:
        """Keep enough calls queued; end the run when there are no more."""
        while True:
            while self._dispatcher.wanting > 0:
                leases = await self._leases.claim(self._at_once)
                self._all_claimed = not leases and self._planned
                if not leases:
                    await self._look_for_the_end()
                    break
            await self._hungry.wait(_LOOK_AGAIN_SECONDS)

    async def _look_for_the_end(self) -> None:
        """Nothing can be claimed: perhaps all is done."""
        if not self._dispatcher.is_idle or self._ended.is_set():
            self._idle_since = None
            return
        if self._verdicts.are_waiting and self._planned:
            await self._hear_of_success()
            self._verdicts.give_up_all()
        elif self._planned and await self._all_is_settled() and await self._vectors.conclude():
            self._idle_since = None
        elif await self._store.complete(self._job.id):
            self.end(Endings.complete())
        elif self._linger_seconds is not None:
            now = self._clock.now()
            self._idle_since = self._idle_since or now
            if now - self._idle_since >= self._linger_seconds:
                self.end(Endings.idle())

    async def _all_is_settled(self) -> bool:
        """Whether nothing of the job is left to be asked, by other workers neither."""
        if self._linger_seconds is None:
            return True
        tally = await self._store.tally(self._job.id)
        return tally.rows_done + tally.rows_failed >= self._live.rows

    async def _watch(self) -> None:
        """Once a second: the job's state, the provider's health, and the figures."""
        for look in count(1):
            await self._clock.sleep(_LOOK_AGAIN_SECONDS)
            now = self._clock.now()
            self._show()
            if self._linger_seconds is not None and look % _LOOKS_FOR_THE_DEAD == 0:
                await self._leases.take_over()
            await self._keep_learned()
            if await self._budget_guard.are_gone():
                self.end(Endings.out_of_budget("the next request might cost more than is left"))
            reason = self._state.given_up(self._spec.outage_timeout)
            if reason and not (self._all_claimed and self._passing.grant_last_try()):
                until = self._live.limits.paused_until
                wait = None if until is None else until - now
                self.end(Endings.paused(reason, wait, wall=self._clock.wall()))
            if self._all_claimed:
                await self._passing.ask_for_proof()
            await self._hear_of_success()
            job = await self._store.job(self._job.id)
            await self._vectors.hear(job.learned.dimension)
            if self._planning is None:
                self._planned = job.planned
                self._live.rows_planned = self._live.rows if job.planned else job.plan_row
            if job.state not in (JobState.OPEN, JobState.COMPLETE):
                self.end(Endings.of(job))

    async def _hear_of_success(self) -> None:
        """What has never succeeded here may have in another worker of the job."""
        if self._linger_seconds is None or self._verdicts.had_success:
            return
        tally = await self._store.tally(self._job.id)
        if tally.pieces_done:
            self._verdicts.learn_of_success()

    def _show(self) -> None:
        connection = self._work.connection
        self._telemetry.look(
            self._dispatcher,
            connection.throttle.limits(connection.quota),
            window=self._in_flight.window_size,
            outage=self._state.in_outage,
            short=self._checkpoint_writer.budget_short,
        )

    # --- checkpoints --------------------------------------------------------------------------

    def _mind_room(self) -> None:
        """Stop while there is room for what is in flight: without it that would be paid in vain."""
        room = self._store.room_bytes()
        if room is not None and room < LEAST_ROOM_BYTES:
            self.end(Endings.cramped(room))

    def _flushed(self, committed: Sequence[Checkpoint], seconds: float) -> None:
        self._mind_room()
        self._telemetry.committed(committed, seconds)
        self._budget_guard.committed(committed)
        self._queue.wake()
        self._hungry.set()

    async def _wind_down(self) -> None:
        """Send no more, settle what is in flight within the grace time, write it down."""
        self._live.phase = "settling"
        await self._dispatcher.stop()
        await self._senders.wind_down(self._spec.grace_seconds)
        await self._checkpoint_writer.flush(release=True)
        self._show()
        await self._keep_learned()

    async def _keep_learned(self) -> None:
        if self._requests.learned != self._kept:
            self._kept = self._requests.learned
            await self._store.learn(self._job.id, self._kept)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first leaf of a group: what really went wrong."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
