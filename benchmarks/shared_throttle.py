"""How many requests one Redis can pace: reservations alone, and with an answer settled for each.

The workers are throttles of their own, with connections of their own, in this one process: what is
measured is Redis, the script, and one core's worth of clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

from batcher.adapters.system.clock import SystemClock
from batcher.adapters.throttle.redis import RedisThrottle, open_throttle
from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import Flow
from benchmarks.results import Result
from scripts.servers.valkey import valkey_server

_QUOTA = "provider|credential|family"
_WORKERS = 4
_BATCH = 256
_PER_MINUTE = 60_000_000
_SECONDS = 4.0


def reservations(scale: float) -> Iterator[Result]:
    """Four workers of one job, 256 requests a call."""
    with valkey_server() as server:
        alone = asyncio.run(_measure(server.url, _SECONDS * scale, settles=False))
        settled = asyncio.run(_measure(server.url, _SECONDS * scale, settles=True))
    yield Result(name="one Redis: reservations", value=alone, unit="/s", least=20_000)
    yield Result(name="one Redis: reserved and settled", value=settled, unit="/s", least=2_000)


async def _measure(url: str, seconds: float, *, settles: bool) -> float:
    """Requests a second, of all workers together."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        throttles = [
            await stack.enter_async_context(open_throttle(url, clock)) for _ in range(_WORKERS)
        ]
        for throttle in throttles:
            stack.enter_context(throttle.ceiling(_QUOTA, rpm=_PER_MINUTE, tpm=None))
            await throttle.check(_QUOTA)
        started = time.perf_counter()
        counts = await asyncio.gather(
            *(_work(throttle, clock, started + seconds, settles=settles) for throttle in throttles)
        )
        return sum(counts) / (time.perf_counter() - started)


async def _work(throttle: RedisThrottle, clock: SystemClock, until: float, *, settles: bool) -> int:
    """One worker, for as long as it has got send times in the past it asks for more."""
    costs = [TokenDemand(100)] * _BATCH
    count = 0
    while time.perf_counter() < until:
        grant = await throttle.reserve(_QUOTA, costs, Flow("job"))
        count += len(grant.tickets)
        if settles:
            seen = Observation(
                sent_at=clock.now(),
                admitted=True,
                limit_requests=_PER_MINUTE,
                remaining_requests=_PER_MINUTE,
            )
            await asyncio.gather(*(throttle.settle(_QUOTA, t, seen) for t in grant.tickets))
        if grant.come_back_at is not None:
            await clock.sleep(max(0.0, grant.come_back_at - clock.now()))
    return count
