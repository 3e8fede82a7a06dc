"""One worker of a fleet: serves every job that it is told of, and finds those that nobody told.

What is to be done is in the database alone. A bell that rings only makes it quick; every worker
also looks by itself, so that nothing is lost with a queue, a message or another worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from batcher.core.errors import IllegalTransition, NotAllowed, StoreError, UsageError
from batcher.core.failures.unforeseen import described
from batcher.core.model import Job, JobEvent, JobState
from batcher.engine.delivery.deliverer import Deliverer
from batcher.engine.fleet.background_work import BackgroundWork
from batcher.engine.fleet.failed_runs import FailedRuns
from batcher.engine.fleet.worker_telemetry import WorkerTelemetry, place_of
from batcher.engine.job.endings import Endings, apply_ending, may_pass
from batcher.engine.left_alone import LeftAlone
from batcher.engine.opening.binding import Bound
from batcher.engine.opening.intake import Intake, KindChanged
from batcher.engine.running.run import JobRun, begin_live
from batcher.engine.running.run_parts import Work
from batcher.engine.services import Services
from batcher.engine.telemetry.metrics import Served
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import Event, Family, WorkerCard

LOOK_SECONDS = 2.0
"""How often a worker looks for work that no bell told it of."""
LINGER_SECONDS = 10.0
"""How long a job is kept that has nothing to claim: opening it again costs more."""
BEAT_SECONDS = 10.0
"""How often a worker shows that it is alive; it counts as dead after three times as long."""
REFUSED_SECONDS = 60.0
"""How long a job is left alone that this worker cannot serve, or that failed here."""
MOST_FAILED_RUNS = 10
"""So often in a row a job may fail here, with nothing done in between, before it is paused."""
SILENT_SECONDS = 15.0
"""A database that has not answered for so long is out of reach."""
MOST_JOBS = 50


class NotServed(Exception):
    """This worker cannot serve the job; ``reason`` may be logged: it quotes no prompt."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True, eq=False)
class Service:
    """One job being served: the task, and its run once that has begun."""

    task: asyncio.Task[None]
    run: JobRun | None = None
    live: RunStats | None = None
    kind: str = ""
    model: str = ""


class FleetWorker:
    """One process's work on all jobs."""

    def __init__(
        self,
        services: Services,
        card: WorkerCard,
        telemetry: WorkerTelemetry,
        *,
        look_seconds: float = LOOK_SECONDS,
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        """``card`` is what others are told of it; the times are as the constants say."""
        self.services = services
        self.card = card
        self.telemetry = telemetry
        self._look_seconds = look_seconds
        self._linger_seconds = linger_seconds
        self._serving: dict[str, Service] = {}
        self._left_alone = LeftAlone(services.clock)
        self._failed_runs = FailedRuns()
        self._runs = count(1)
        self._tasks: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        deliverer = Deliverer(services, card.name, telemetry.log, self._count_delivery)
        self._background_work = BackgroundWork(services, card.name, telemetry.log, deliverer)

    def __repr__(self) -> str:
        """Who it is, and how much it does."""
        return f"<FleetWorker {self.card.name}, {len(self._serving)} jobs>"

    @property
    def serving(self) -> Mapping[str, Service]:
        """What is being served, by job."""
        return self._serving

    @property
    def stopping(self) -> bool:
        """Whether the end has begun."""
        return self._stopping.is_set()

    @property
    def hears_the_database(self) -> bool:
        """Whether the database has answered lately: a worker looks every few seconds."""
        return self.telemetry.has_heard(max(SILENT_SECONDS, 3 * self._look_seconds))

    def families(self) -> Iterator[Family]:
        """The metrics, as they are now."""
        clock = self.services.clock
        served = [
            Served(job_id, service.kind, service.model, service.live)
            for job_id, service in self._serving.items()
            if service.live is not None
        ]
        return self.telemetry.meters.families(
            served, wall=clock.wall(), now=clock.now(), stopping=self.stopping
        )

    async def run(self) -> None:
        """Serve until :meth:`stop`; then settle what is in flight, and give the leases back."""
        log = self.telemetry.log
        log(Event.WORKER_STARTED, worker=self.card.name, version=self.card.version)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            background = [
                tasks.create_task(self._look(), name="looking for work"),
                tasks.create_task(self._beat(), name="showing that we live"),
            ]
            await self._stopping.wait()
            log(Event.WORKER_STOPPING, worker=self.card.name, jobs=len(self._serving))
            for task in background:
                task.cancel()
            self._background_work.stop()
            for service in list(self._serving.values()):
                if service.run is None:
                    service.task.cancel()
                else:
                    service.run.end(Endings.interrupted())
        try:
            await self.services.store.leave(self.card.name)
        except StoreError as error:
            self.telemetry.lost_the_store(error)
        log(Event.WORKER_STOPPED, worker=self.card.name)

    def stop(self) -> None:
        """Begin to end in good order."""
        self._stopping.set()

    def serve(self, job_id: str) -> Service | None:
        """See to it that the job is served here; None where that is not to be now."""
        service = self._serving.get(job_id)
        if service is not None:
            return service
        busy = len(self._serving) >= MOST_JOBS
        if busy or self._tasks is None or self._stopping.is_set() or job_id in self._left_alone:
            return None
        task = self._tasks.create_task(self._serve(job_id), name=f"serving {job_id}")
        service = self._serving[job_id] = Service(task)
        return service

    async def drain(self, job_id: str, slice_seconds: float) -> None:
        """Serve the job; return when it is done here, or after so long, work then going on."""
        service = self.serve(job_id)
        if service is not None:
            await asyncio.wait([service.task], timeout=slice_seconds)

    # --- looking ------------------------------------------------------------------------------

    async def look(self) -> list[str]:
        """Serve what waits, begin what is asked for or due; returns the ids that wait.

        Raises:
            StoreError: the database cannot be asked.
        """
        store = self.services.store
        await self._background_work.look(self._tasks)
        for job_id in await store.due_jobs():
            try:
                await store.move(job_id, JobEvent.RESUME)
                self.telemetry.log(Event.JOB_RESUMED, job=job_id)
            except IllegalTransition:
                pass  # somebody was quicker
        waiting = await store.waiting_jobs()
        for job_id in waiting:
            self.serve(job_id)
        return waiting

    async def _look(self) -> None:
        while True:
            try:
                await self.look()
                self.telemetry.heard()
            except StoreError as error:
                self.telemetry.lost_the_store(error)
            except Exception as error:  # noqa: BLE001 - no reason to leave what is being served
                self.telemetry.stumbled("look", error)
            jitter = self.services.chance.uniform(0.5, 1.5)  # workers do not look in step
            await self.services.clock.sleep(self._look_seconds * jitter)

    async def _beat(self) -> None:
        while True:
            store, clock = self.services.store, self.services.clock
            try:
                await store.beat(self.card, 3 * BEAT_SECONDS)
                await self.telemetry.meters.look_at_the_queue(store, self._serving, clock.wall())
            except StoreError as error:
                self.telemetry.lost_the_store(error)
            except Exception as error:  # noqa: BLE001 - likewise
                self.telemetry.stumbled("beat", error)
            await clock.sleep(BEAT_SECONDS)

    # --- serving ------------------------------------------------------------------------------

    async def _serve(self, job_id: str) -> None:
        """Work on one job to an end. What goes wrong with it is no reason to leave the others."""
        try:
            job = await self.services.store.job(job_id)
            if job.state is JobState.OPEN:
                await self._work(job)
        except NotServed as refusal:
            self._left_alone.add(job_id, REFUSED_SECONDS)
            self.telemetry.log(Event.JOB_REFUSED, job=job_id, reason=refusal.reason)
        except NotAllowed as refusal:
            self._left_alone.add(job_id, REFUSED_SECONDS)
            self.telemetry.log(Event.JOB_REFUSED, job=job_id, reason=str(refusal))
        except Exception as error:  # noqa: BLE001 - a fault in one job, or in somebody's own kind
            self._left_alone.add(job_id, REFUSED_SECONDS)
            if isinstance(error, StoreError):
                self.telemetry.lost_the_store(error)
            self.telemetry.log(
                Event.JOB_FAILED, job=job_id, error=type(error).__name__, where=place_of(error)
            )
            await self._give_up_in_the_end(job_id, error)
        else:
            self._failed_runs.forget(job_id)
        finally:
            del self._serving[job_id]

    async def _give_up_in_the_end(self, job_id: str, error: Exception) -> None:
        """Pause a job that this worker fails to run, once it has failed so often in a row.

        What may pass does not count, nor what failed before something was done, here or elsewhere.
        """
        if may_pass(error):
            return
        store = self.services.store
        try:
            tally = await store.tally(job_id)
            times = self._failed_runs.count(job_id, tally.rows_done + tally.rows_failed)
            if times >= MOST_FAILED_RUNS:
                self._failed_runs.forget(job_id)
                await apply_ending(store, job_id, Endings.run_given_up(times, described(error)))
        except StoreError as lost:
            self.telemetry.lost_the_store(lost)
        except (IllegalTransition, UsageError):
            pass  # it is over, or deleted

    async def _bind(self, job: Job) -> Bound:
        """What the job is made of, as this worker does it.

        Raises:
            NotServed: no credential, no such kind, one of another version, or more is asked for
                than this worker's operator allows.
        """
        services = self.services
        try:
            bound = await Intake(services).rebind(job)
        except KindChanged as error:
            raise NotServed(str(error)) from error
        except UsageError as error:  # its words may quote a template
            raise NotServed("its kind is not installed here, or refuses its options") from error
        try:
            services.check_connection(bound.spec)
        except (NotAllowed, UsageError) as error:
            raise NotServed(str(error)) from error
        return bound

    async def _work(self, job: Job) -> None:
        services = self.services
        bound = await self._bind(job)
        spec = bound.spec
        meter, log = self.telemetry.meters.of(spec.kind, spec.model), self.telemetry.log
        live = begin_live(services.clock, job, bound, await services.store.tally(job.id))
        async with services.connect(spec) as connection:
            work = Work(
                job=job,
                bound=bound,
                services=services,
                connection=connection,
                owner=f"{self.card.name}/{next(self._runs)}",
                live=live,
                sinks=self.telemetry.sinks(spec.kind, spec.model),
                linger_seconds=self._linger_seconds,
            )
            run = JobRun(work)
            service = self._serving[job.id]
            service.run, service.live = run, live
            service.kind, service.model = spec.kind, spec.model
            if self._stopping.is_set():
                return
            meter.jobs_served += 1
            log(Event.JOB_SERVED, job=job.id, kind=spec.kind, model=spec.model)
            ending = await run.run()
        if ending.status == "complete" and self._tasks is not None:
            self._background_work.deliver(self._tasks, job.id)
        meter.jobs_left[ending.status] += 1
        log(
            Event.JOB_LEFT,
            job=job.id,
            status=ending.status,
            rows_done=live.rows_done,
            rows_dead=live.dead,
            requests=live.requests,
        )

    def _count_delivery(self, job: Job, delivered: bool) -> None:
        work = job.description.work
        meter = self.telemetry.meters.of(work.kind, work.model)
        meter.delivered += delivered
        meter.deliveries_failed += not delivered
