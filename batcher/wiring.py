"""The one place where adapters are chosen: from settings to a runner."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from batcher import __version__
from batcher.adapters import destinations
from batcher.adapters.store.location import MEMORY, sqlite_path
from batcher.adapters.store.open import open_store
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.system.connectors import DESTINATIONS, SOURCES, Connectors
from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.adapters.system.meanwhile import import_meanwhile
from batcher.adapters.system.private_files import STATE_DIRECTORY
from batcher.core.throttle.slots import Slots
from batcher.engine.result_access import ResultAccess
from batcher.engine.runner import Runner
from batcher.engine.services import Connection, Files, Services
from batcher.ports import Destination, NoDoorbell, Source, SourceRequest, WorkerCard
from batcher.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from batcher.core.failures.verdicts import Chance
    from batcher.core.job.schedule import DueTimes
    from batcher.core.job.spec import JobSpec
    from batcher.core.limits import ModelFacts
    from batcher.engine.fleet.worker import FleetWorker
    from batcher.ports import (
        Clock,
        Doorbell,
        InputSource,
        Log,
        RowGuard,
        RowIndex,
        SinkRequest,
        Throttle,
        Tokenizer,
    )
    from batcher.ports.planning import PlannerProcess, PlanTask


@asynccontextmanager
async def open_runner(
    settings: Settings | None = None, *, clock: Clock | None = None, chance: Chance | None = None
) -> AsyncIterator[Runner]:
    """A runner over a database, which is migrated as need be.

    ``clock`` and ``chance`` (of backoff's jitter) are the machine's unless given.

    Raises:
        StoreError: the database cannot be used.
    """
    async with _open_services(settings or Settings(), clock, chance) as services:
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

    async with _open_services(settings, clock, chance, Slots(concurrency)) as services:
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
            log or EventLog(),
            look_seconds=LOOK_SECONDS if look_seconds is None else look_seconds,
            trace=open_trace(),
        )


@asynccontextmanager
async def _open_services(
    settings: Settings, clock: Clock | None, chance: Chance | None, slots: Slots | None = None
) -> AsyncIterator[Services]:
    clock = clock or SystemClock()
    url = settings.location
    async with AsyncExitStack() as stack:
        store = await open_store(
            url,
            clock,
            create=settings.create,
            patience_seconds=settings.database_timeout_seconds,
        )
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
            files=_files(url),
            open_tokenizer=_open_tokenizer,
            model_facts=_model_facts,
            check_connection=partial(_check_connection, settings=settings),
            connect=partial(_connect, open_throttle=throttle, settings=settings),
            lock=_job_lock(url),
            doorbell=doorbell,
            open_index=partial(_open_index, url),
            version=__version__,
            lease_seconds=settings.lease_seconds,
            open_source=partial(_open_source, clock=clock),
            due_times=_due_times,
            slots=slots or Slots(),
            open_guard=_open_guard,
            start_planner=_start_planner,
            access=ResultAccess(partial(open_runner, replace(settings, create=False))),
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


async def _open_source(spec: JobSpec, *, clock: Clock) -> InputSource:
    wanted = SourceRequest(
        address=spec.input,
        spool_dir=STATE_DIRECTORY / "spool",
        clock=clock,
        format=spec.format,
        delimiter=spec.delimiter,
        encoding=spec.encoding,
        max_bytes=spec.max_input_bytes,
    )
    # In a thread: what is installed is looked through, and imported.
    source = await asyncio.to_thread(_sources().find, spec.input, spec.format)
    return await source.open(wanted)


@cache
def _sources() -> Connectors[Source]:
    return Connectors(SOURCES, Source)


@cache
def _destinations() -> Connectors[Destination]:
    return Connectors(DESTINATIONS, Destination)


def _destination(wanted: SinkRequest) -> Destination:
    return _destinations().find(wanted.address, wanted.format)


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
    path = Path(os.path.realpath(sqlite_path(url)))
    return partial(job_lock, path.with_name(f"{path.name}.locks"))


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


def _files(database_url: str) -> Files:
    """None of these functions is looked up before it is called, since that imports its module."""
    return Files(
        check_form=lambda wanted: _destination(wanted).check_form(wanted),
        check_place=lambda wanted: _destination(wanted).check_place(wanted),
        open_sink=lambda wanted: _destination(wanted).open(wanted),
        draft_records=lambda path, records, seen: destinations.draft_json_lines(
            path, records, seen
        ),
        draft_json=lambda path, value, seen: destinations.draft_json(path, value, seen),
        read_json=lambda path: destinations.read_json(path),
        read_drafts=lambda path: destinations.read_drafts(path),
        read_text=lambda path: Path(path).read_text(encoding="utf-8-sig"),
        look=lambda path: destinations.look(path),
        is_same=lambda one, other: destinations.is_same(one, other),
        is_part_of=lambda one, other: destinations.is_part_of(one, other),
        open_table=lambda schema: destinations.ArrowSink(schema),
        state=_state(database_url),
    )


def _open_tokenizer(model: str, name: str | None) -> Tokenizer:
    from batcher.adapters.providers.tokenizer import (
        open_tokenizer,  # tiktoken takes a while to import
    )

    return open_tokenizer(model, name)


def _hidden(settings: Settings) -> tuple[str, ...]:
    """What no message may tell besides a job's own credential: passwords of what it goes by."""
    from batcher.adapters.providers.credential import url_secrets

    password = os.environ.get("PGPASSWORD")
    proxies = [value for name, value in os.environ.items() if name.lower().endswith("_proxy")]
    urls = (settings.database_url, settings.redis_url, *proxies)
    return (*url_secrets(*urls), *([password] if password else []))


@asynccontextmanager
async def _connect(
    spec: JobSpec, *, open_throttle: Callable[[], Throttle], settings: Settings
) -> AsyncIterator[Connection]:
    """An open way to the provider that a spec names, or to a simulated one."""
    throttle, hidden = open_throttle(), _hidden(settings)
    async with _route(spec, throttle, hidden, settings) as connection:
        if settings.record is None:
            yield connection
            return
        from batcher.adapters.providers.recording import recording

        with recording(
            connection.provider,
            Path(settings.record),
            connection.secrets,
            requests=settings.record_requests,
        ) as provider:
            yield replace(connection, provider=provider)


@asynccontextmanager
async def _route(
    spec: JobSpec, throttle: Throttle, hidden: tuple[str, ...], settings: Settings
) -> AsyncIterator[Connection]:
    """The way that a spec's requests take: online, simulated, or to recorded answers."""
    if spec.via == "replay":
        from batcher.adapters.providers.recording import open_replay

        with closing(open_replay(settings.replay)) as provider:
            yield Connection(
                provider=provider, throttle=throttle, quota=spec.answers_from, secrets=hidden
            )
        return
    if not spec.simulate:
        async with _connect_http(spec, spec.base_url, throttle, hidden) as connection:
            yield connection
        return
    from batcher.simulator import SimulatorConfig, serve

    tokenizer = _open_tokenizer(spec.model, spec.tokenizer)
    config = SimulatorConfig(rpm=spec.rpm, tpm=spec.tpm)
    async with (
        serve(config, count_tokens=lambda text: tokenizer.count([text])[0]) as simulator,
        _connect_http(spec, simulator.base_url, throttle, hidden) as connection,
    ):
        yield connection


@asynccontextmanager
async def _connect_http(
    spec: JobSpec, base_url: str, throttle: Throttle, hidden: tuple[str, ...]
) -> AsyncIterator[Connection]:
    from batcher.adapters.providers.credential import read_credential
    from batcher.adapters.providers.http import open_provider  # aiohttp takes a while to import
    from batcher.adapters.providers.proxy import proxy_for
    from batcher.core.job.idempotency import OFF
    from batcher.core.limits import model_family
    from batcher.engine.opening.binding import quota_name

    credential = read_credential(spec, os.environ)
    proxy = proxy_for(base_url)
    query: dict[str, str] = {}
    if spec.api_version is not None:
        query = {"api-version": spec.api_version}
        if "/openai/" not in base_url:
            base_url = f"{base_url.rstrip('/')}/openai/deployments/{spec.model}"
    quota = quota_name(spec, model_family(spec.model), credential.digest)
    with throttle.ceiling(quota, rpm=spec.rpm, tpm=spec.tpm):
        async with open_provider(
            base_url,
            headers={"User-Agent": f"batcher/{__version__}", **credential.headers},
            query=query,
            timeout_seconds=spec.timeout,
            connections=spec.concurrency,
            proxy=proxy,
            key_header="" if spec.idempotency_header == OFF else spec.idempotency_header,
        ) as provider:
            yield Connection(
                provider=provider,
                throttle=throttle,
                quota=quota,
                secrets=(*credential.secrets, *hidden),
                charges_prompt_too=spec.api_version is not None,
            )


def _check_connection(spec: JobSpec, *, settings: Settings) -> None:
    if spec.via == "replay":
        from batcher.adapters.providers.recording import open_replay

        open_replay(settings.replay).close()
        return
    from batcher.adapters.providers.credential import read_credential

    read_credential(spec, os.environ)
    if not spec.simulate:
        from batcher.adapters.providers import proxy  # urllib.request takes a while to import

        proxy.proxy_for(spec.base_url)
        if spec.base_url.startswith("https:"):
            proxy.check_authorities(os.environ)
    import_meanwhile("batcher.adapters.providers.http")
