"""The one place where adapters are chosen: from settings to a runner."""

from __future__ import annotations

import os
import random
import secrets
import socket
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from batcher import __version__
from batcher.adapters.store.location import MEMORY, sqlite_path
from batcher.adapters.store.open import deferred_store, open_store
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.adapters.system.private_files import STATE_DIRECTORY
from batcher.core.throttle.slots import Slots
from batcher.engine.result_access import ResultAccess
from batcher.engine.runner import Runner
from batcher.engine.services import Services
from batcher.ports import NoDoorbell, WorkerCard
from batcher.settings import Settings
from batcher.wiring_files import files, open_attachments, open_source
from batcher.wiring_providers import (
    check_asked,
    check_connection,
    choose_provider,
    connect,
    open_tokenizer,
    reach_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from batcher.core.failures.verdicts import Chance
    from batcher.core.job.reach import Reach
    from batcher.core.job.schedule import DueTimes
    from batcher.core.limits import ModelFacts
    from batcher.engine.fleet.worker import FleetWorker
    from batcher.ports import (
        Clock,
        Doorbell,
        Log,
        RowGuard,
        RowIndex,
        Throttle,
    )
    from batcher.ports.planning import PlannerProcess, PlanTask


@asynccontextmanager
async def open_runner(
    settings: Settings | None = None,
    *,
    clock: Clock | None = None,
    chance: Chance | None = None,
    reach: Reach | None = None,
) -> AsyncIterator[Runner]:
    """A runner over a database, which is migrated as need be.

    An SQLite file that is not there is made by the first job that begins.

    ``clock`` and ``chance`` (of backoff's jitter) are the machine's unless given. ``reach`` is what
    jobs may reach where they are described by others than whoever opens the runner: providers,
    inputs and files of options, outputs. Without it that is whatever they name. What is beyond it
    raises :class:`batcher.core.errors.NotAllowed`.

    Raises:
        StoreError: the database cannot be used.
    """
    settings = settings or Settings()
    async with _open_services(settings, clock, chance, reach=reach, defers=True) as services:
        yield Runner(services)


@asynccontextmanager
async def open_fleet(
    settings: Settings,
    *,
    log: Log | None = None,
    clock: Clock | None = None,
    chance: Chance | None = None,
    look_seconds: float | None = None,
    concurrency: int | None = None,
) -> AsyncIterator[FleetWorker]:
    """One worker of those that share a database.

    ``concurrency`` is the most requests in flight here, of all jobs together; None leaves it to
    each job. ``log`` is standard error unless given.

    Raises:
        StoreError: the database cannot be used.
    """
    from batcher.adapters.observability.event_log import EventLog
    from batcher.adapters.observability.tracing import open_trace
    from batcher.engine.fleet.worker import LOOK_SECONDS, FleetWorker
    from batcher.engine.fleet.worker_telemetry import WorkerTelemetry

    reach = reach_of(settings)
    async with _open_services(
        settings, clock, chance, Slots(concurrency), reach, asks=False
    ) as services:
        host = socket.gethostname()
        card = WorkerCard(
            name=f"{host}:{os.getpid()}:{secrets.token_hex(2)}",
            host=host,
            pid=os.getpid(),
            version=services.version,
            started_at=datetime.fromtimestamp(services.clock.wall(), UTC),
        )
        yield FleetWorker(
            services,
            card,
            WorkerTelemetry(log or EventLog(), services.clock, open_trace()),
            look_seconds=LOOK_SECONDS if look_seconds is None else look_seconds,
        )


@asynccontextmanager
async def _open_services(
    settings: Settings,
    clock: Clock | None,
    chance: Chance | None,
    slots: Slots | None = None,
    reach: Reach | None = None,
    *,
    defers: bool = False,
    asks: bool = True,
) -> AsyncIterator[Services]:
    """What the engine needs; ``asks``: jobs are left to workers by somebody whose reach it is."""
    clock = clock or SystemClock()
    url, patience = settings.location, settings.database_timeout_seconds
    async with AsyncExitStack() as stack:
        store = None
        if defers and settings.create:
            store = deferred_store(url, clock, patience_seconds=patience)
        if store is None:
            store = await open_store(url, clock, create=settings.create, patience_seconds=patience)
        stack.push_async_callback(store.close)
        doorbell: Doorbell = NoDoorbell()
        throttle = cache(partial(_memory_throttle, clock))
        if settings.redis_url is not None:
            from batcher.adapters.doorbell import ArqDoorbell, check_redis_url  # takes a while
            from batcher.adapters.throttle.redis import open_throttle

            check_redis_url(settings.redis_url)
            doorbell = arq = ArqDoorbell(settings.redis_url)
            stack.push_async_callback(arq.close)
            shared = await stack.enter_async_context(open_throttle(settings.redis_url, clock))
            throttle = cache(lambda: shared)
        yield Services(
            store=store,
            clock=clock,
            chance=chance or random.Random(),
            kinds=InstalledKinds(),
            files=files(_state(url), reach),
            open_tokenizer=open_tokenizer,
            model_facts=_model_facts,
            choose_provider=choose_provider,
            check_connection=partial(check_connection, settings=settings, reach=reach),
            check_asked=partial(check_asked, reach=reach if asks else None),
            connect=partial(connect, open_throttle=throttle, settings=settings, reach=reach),
            lock=_job_lock(url),
            doorbell=doorbell,
            open_index=partial(_open_index, url),
            version=__version__,
            lease_seconds=settings.lease_seconds,
            open_source=partial(open_source, clock=clock, reach=reach),
            open_attachments=partial(open_attachments, reach=reach),
            due_times=_due_times,
            slots=slots or Slots(),
            open_guard=_open_guard,
            start_planner=_start_planner,
            access=ResultAccess(partial(open_runner, replace(settings, create=False), reach=reach)),
        )


def _memory_throttle(clock: Clock) -> Throttle:
    from batcher.adapters.throttle import MemoryThrottle

    return MemoryThrottle(clock)


def _model_facts(model: str, endpoint: str, base_url: str) -> ModelFacts:
    from batcher.adapters.providers.kept_facts import kept_model_facts

    return kept_model_facts(model, endpoint, base_url)


def _open_guard() -> RowGuard:
    from batcher.adapters.system.row_guard import ThreadGuard

    return ThreadGuard()


def _start_planner(task: PlanTask) -> PlannerProcess | None:
    from batcher.adapters.system.planner_process import start_planner_process

    return start_planner_process(task)


def _due_times(cron: str, timezone: str) -> DueTimes:
    from batcher.adapters.system.cron import CronTimes

    return CronTimes(cron, timezone)


def _job_lock(url: str) -> Callable[[str], AbstractContextManager[None]]:
    """The lock of a run: with the database, so that whoever shares that shares the locks."""
    if is_postgres(url):
        from batcher.adapters.store.postgres.lock import postgres_job_lock

        return partial(postgres_job_lock, PostgresAddress.parse(url))
    from batcher.adapters.system.job_lock import job_lock

    if url == MEMORY:
        return partial(job_lock, STATE_DIRECTORY / "locks")
    return partial(job_lock, _locks(url))


def _locks(url: str) -> Path:
    path = Path(os.path.realpath(sqlite_path(url)))
    return path.with_name(f"{path.name}.locks")


def running_process(settings: Settings, job_id: str) -> str | None:
    """The process of this machine that is running a job: empty where none is, None if unknown."""
    url = settings.location
    if url == MEMORY or is_postgres(url):
        return None
    from batcher.adapters.system.job_lock import job_owner

    return job_owner(_locks(url), job_id)


def _state(url: str) -> tuple[Path, ...]:
    """The files and folders of state, which no output may touch."""
    ours = (STATE_DIRECTORY / "spool", STATE_DIRECTORY / "locks")
    if url == MEMORY or is_postgres(url):
        return ours
    path = sqlite_path(url)
    beside = ("", "-wal", "-shm", "-journal", ".locks")
    return (*ours, *(path.with_name(path.name + suffix) for suffix in beside))


def _open_index(url: str) -> RowIndex:
    """Beside the database: who has room for a job's results there has room to compare them."""
    from batcher.adapters.system.row_index import SqliteRowIndex

    if url == MEMORY or is_postgres(url):
        return SqliteRowIndex(STATE_DIRECTORY / "spool")
    return SqliteRowIndex(sqlite_path(url).parent)
