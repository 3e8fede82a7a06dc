"""A worker's state over HTTP: for supervisors and Prometheus. It takes no orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

from batcher.adapters.observability.exposition import CONTENT_TYPE, expose
from batcher.core.errors import UsageError
from batcher.ports import Family

_END_SECONDS = 1.0


@asynccontextmanager
async def serve_health(
    host: str,
    port: int,
    *,
    ready: Callable[[], Awaitable[Mapping[str, bool]]],
    families: Callable[[], Iterable[Family]],
) -> AsyncIterator[int]:
    """Answer ``GET /live``, ``/ready`` and ``/metrics``; yields the port.

    Args:
        host: the address to listen on.
        port: the port; 0 is any that is free.
        ready: what must be true of a worker that is ready, by name.
        families: the metrics.

    Raises:
        UsageError: nothing can listen there.
    """

    async def live(request: web.Request) -> web.Response:
        del request
        return web.json_response({"live": True})  # that it is said at all is the news

    async def readiness(request: web.Request) -> web.Response:
        del request
        facts = await ready()
        good = all(facts.values())
        return web.json_response({"ready": good, **facts}, status=200 if good else 503)

    async def metrics(request: web.Request) -> web.Response:
        del request
        body = expose(families()).encode()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    for path, handler in (("/live", live), ("/ready", readiness), ("/metrics", metrics)):
        app.router.add_get(path, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_END_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise UsageError(
                f"--health-port {port} on {host} cannot be listened on: {error.strerror}"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
