"""arq's side of a worker: who rings, and who answers.

``batcher worker`` runs :func:`answer_bells` beside the fleet's worker and outlives a Redis that
goes away; ``arq batcher.worker.WorkerSettings`` is the same under arq's own command, which ends
with its Redis and wants a supervisor. Nothing is lost with either: the queue holds ids alone, and a
worker finds by itself what no bell told it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

from arq.connections import ArqRedis, RedisSettings
from arq.cron import cron
from arq.worker import Worker, func
from redis.exceptions import RedisError

from batcher.adapters.doorbell import (
    DRAIN,
    QUEUE,
    answers,
    check_redis_url,
    connect,
    from_bytes,
    ring,
    to_bytes,
)
from batcher.adapters.observability.health import serve_health
from batcher.core.errors import UsageError
from batcher.core.failures.verdicts import backoff_seconds
from batcher.engine.fleet.worker import MOST_JOBS, FleetWorker
from batcher.ports import Event
from batcher.settings import Settings
from batcher.wiring import open_fleet

SLICE_SECONDS = 60.0
"""How long a ring is being answered at most; the work it began goes on."""
_SWEEPS = {0, 15, 30, 45}
_POLL_SECONDS = 0.25
_MOST_QUEUED = 10_000
_TIMEOUT_MARGIN_SECONDS = 30.0


async def drain(ctx: dict[str, Any], job_id: str) -> None:
    """Serve a job for a slice of time, or until it is done here."""
    fleet: FleetWorker = ctx["fleet"]
    await fleet.drain(job_id, ctx["slice_seconds"])


async def sweep(ctx: dict[str, Any]) -> None:
    """Ring for all jobs that wait: for those, too, whose bell was lost."""
    fleet: FleetWorker = ctx["fleet"]
    for job_id in await fleet.look():
        await ring(ctx["redis"], job_id)


def arq_settings(slice_seconds: float = SLICE_SECONDS) -> dict[str, Any]:
    """What arq's worker is made with, but for its connection.

    No result is kept, since one would swallow the next ring of the same job. A read of the queue
    goes from its beginning, so it must hold more than all workers answer at once.
    """
    timeout = slice_seconds + _TIMEOUT_MARGIN_SECONDS
    return {
        "functions": [func(drain, name=DRAIN, keep_result=0, timeout=timeout)],
        "cron_jobs": [cron(sweep, second=_SWEEPS, timeout=timeout)],
        "queue_name": QUEUE,
        "job_serializer": to_bytes,
        "job_deserializer": from_bytes,
        "keep_result": 0,
        "max_jobs": MOST_JOBS,
        "poll_delay": _POLL_SECONDS,
        "queue_read_limit": _MOST_QUEUED,
        "log_results": False,
    }


async def answer_bells(
    fleet: FleetWorker, redis_url: str, slice_seconds: float = SLICE_SECONDS
) -> None:
    """Answer rings until cancelled; wait for a Redis that is away, and go on."""
    attempt = 0
    while True:
        try:
            redis = await connect(redis_url)
            if attempt:
                fleet.telemetry.log(Event.QUEUE_FOUND)
            attempt = 0
            await _answer(fleet, redis, slice_seconds)
        except (RedisError, OSError, TimeoutError) as error:
            attempt += 1
            fleet.telemetry.log(Event.QUEUE_LOST, error=type(error).__name__, attempt=attempt)
            await asyncio.sleep(backoff_seconds(attempt, fleet.services.chance))


@asynccontextmanager
async def show_health(
    fleet: FleetWorker, redis_url: str | None, *, host: str, port: int
) -> AsyncIterator[int]:
    """Say over HTTP how the worker is; yields the port. Redis matters where there is one.

    Raises:
        UsageError: nothing can listen there.
    """

    async def ready() -> Mapping[str, bool]:
        here = {"serving": not fleet.stopping, "database": fleet.hears_the_database}
        return here if redis_url is None else {**here, "redis": await answers(redis_url)}

    async with serve_health(host, port, ready=ready, families=fleet.families) as taken:
        fleet.telemetry.log(Event.HEALTH_OPENED, host=host, port=taken)
        yield taken


async def _answer(fleet: FleetWorker, redis: ArqRedis, slice_seconds: float) -> None:
    ctx = {"fleet": fleet, "slice_seconds": slice_seconds}
    worker = Worker(**arq_settings(slice_seconds), redis_pool=redis, handle_signals=False, ctx=ctx)
    try:
        await worker.async_run()
    finally:
        for task in worker.tasks.values():
            task.cancel()
        await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
        with suppress(RedisError, OSError):
            await redis.aclose(close_connection_pool=True)


async def _start(ctx: dict[str, Any]) -> None:
    """Arq's ``on_startup``: open the fleet's worker beside arq's."""
    stack = ctx["stack"] = AsyncExitStack()
    ctx["fleet"] = fleet = await stack.enter_async_context(open_fleet(Settings.from_environment()))
    ctx["slice_seconds"] = SLICE_SECONDS
    ctx["running"] = asyncio.create_task(fleet.run(), name="fleet worker")


async def _end(ctx: dict[str, Any]) -> None:
    """Arq's ``on_shutdown``: settle what is in flight, give the leases back."""
    ctx["fleet"].stop()
    await ctx["running"]
    await ctx["stack"].aclose()


def __getattr__(name: str) -> Any:
    """``WorkerSettings``, made when arq asks: importing this module needs no environment."""
    if name != "WorkerSettings":
        raise AttributeError(name)
    url = os.environ.get("BATCHER_REDIS_URL")
    if not url:
        raise UsageError("BATCHER_REDIS_URL is not set: a worker needs Redis")
    check_redis_url(url)
    return {
        **arq_settings(),
        "redis_settings": RedisSettings.from_dsn(url),
        "on_startup": _start,
        "on_shutdown": _end,
    }
