"""A worker beside the commands of a test."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batcher.engine.fleet.worker import FleetWorker
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def a_worker(directory: Path) -> Iterator[None]:
    """A worker on the database of the commands, in a thread of its own."""
    begun: list[tuple[asyncio.AbstractEventLoop, FleetWorker]] = []
    ready = threading.Event()

    async def work() -> None:
        settings = Settings(database_url=str(directory / ".batcher/batcher.db"))
        async with open_fleet(settings, log=lambda *_, **__: None, look_seconds=0.1) as fleet:
            begun.append((asyncio.get_running_loop(), fleet))
            serving = asyncio.create_task(fleet.run())
            while not any(worker.alive for worker in await fleet.services.store.workers()):
                await asyncio.sleep(0.01)  # until then, commands would say that nobody is there
            ready.set()
            await serving

    thread = threading.Thread(target=asyncio.run, args=(work(),), name="worker")
    thread.start()
    try:
        assert ready.wait(PATIENCE_SECONDS)
        yield
    finally:
        for loop, fleet in begun:
            loop.call_soon_threadsafe(fleet.stop)
        thread.join(PATIENCE_SECONDS)
