"""A lease that is kept for as long as something goes on under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from batcher.core.errors import BatcherError, StoreError
from batcher.engine.services import Services
from batcher.ports import Event, Log


@asynccontextmanager
async def kept_lease(
    services: Services, renew: Callable[[], Awaitable[object]], log: Log
) -> AsyncIterator[None]:
    """Renew a lease at a third of its time. Whether it still holds, its fence will say."""

    async def keep() -> None:
        while True:
            await services.clock.sleep(services.lease_seconds / 3)
            try:
                await renew()
            except StoreError as error:
                log(Event.STORE_LOST, error=type(error).__name__)
            except BatcherError:
                return  # what was leased is gone

    keeping = asyncio.create_task(keep(), name="keeping a lease")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
