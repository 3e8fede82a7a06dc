"""Any aiohttp handler as a provider on loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

from tests.waiting import PATIENCE_SECONDS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextmanager
def serving(handler: Handler) -> Iterator[str]:
    """Yields the base URL, up to and including ``/v1``."""
    ready, places = threading.Event(), []

    async def work() -> None:
        app = web.Application()
        app.router.add_post("/v1/{path:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ended = asyncio.Event()
        places.append((runner.addresses[0][1], asyncio.get_running_loop(), ended))
        ready.set()
        await ended.wait()
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(work(),), name="provider")
    thread.start()
    assert ready.wait(PATIENCE_SECONDS), "the provider did not start"
    port, loop, ended = places[0]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE_SECONDS)
