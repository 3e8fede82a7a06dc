"""A simulated provider in a thread of its own, for commands that run in the test's process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def provider(config: SimulatorConfig | None = None) -> Iterator[Simulator]:
    """Serve until the context ends. Change settings through ``POST /_config`` or not at all."""
    ready = threading.Event()
    running: list[Simulator] = []
    end: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def work() -> None:
        ended = asyncio.Event()
        async with serve(config) as simulator:
            running.append(simulator)
            end.append((asyncio.get_running_loop(), ended))
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=asyncio.run, args=(work(),), name="simulator")
    thread.start()
    try:
        assert ready.wait(PATIENCE_SECONDS), "the simulator did not start"
        yield running[0]
    finally:
        for loop, ended in end:
            loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_SECONDS)
