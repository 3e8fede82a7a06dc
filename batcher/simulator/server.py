"""The provider's HTTP: paths, headers and connections, on loopback.

Reads a request, asks the provider, waits for the latency and answers, or breaks the
connection where a fault says so. aiohttp's low-level server: no router, no middlewares.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from batcher.simulator.config import SimulatorConfig
from batcher.simulator.provider import Provider, Work
from batcher.simulator.replies import (
    JSON_TYPE,
    Refused,
    Reply,
    error,
    wrong_method,
)
from batcher.simulator.requests.calls import CountTokens, estimate_tokens
from batcher.simulator.routes import models_reply, route
from batcher.simulator.stats import Stats

MAX_BODY_BYTES = 64 * 1024 * 1024

_CONTROLS = ("/_stats", "/_config", "/_reset")

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


class Simulator:
    """A running provider: where it listens, what it saw, and how to change it."""

    def __init__(
        self,
        config: SimulatorConfig,
        count_tokens: CountTokens,
        clock: Clock,
        wall: Clock,
        sleep: Sleep,
    ) -> None:
        self.url = ""
        """Scheme, host and port: what Azure clients call the endpoint."""
        self._provider = Provider(config, count_tokens, wall)
        self._clock = clock
        self._wall = wall
        self._sleep = sleep
        self._answered = 0

    def __repr__(self) -> str:
        return f"<Simulator {self.url} {self.stats!r}>"

    @property
    def base_url(self) -> str:
        """The base URL of OpenAI clients."""
        return f"{self.url}/v1"

    @property
    def stats(self) -> Stats:
        """What the provider saw, as live counters."""
        return self._provider.stats

    @property
    def config(self) -> SimulatorConfig:
        """The settings of the moment."""
        return self._provider.config

    def configure(self, **changes: Any) -> None:
        """Change settings, as `POST /_config` does; raises `ValueError` for a bad one."""
        self._provider.configure(changes, self._clock())

    def reset(self) -> None:
        """Forget everything that happened, as `POST /_reset` does; settings stay."""
        self._provider.reset()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        path = request.path
        if path in _CONTROLS:
            return _response(await self._control(request, path))
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _response(error(413, "Request entity too large", code="request_too_large"))
        stats = self.stats
        stats.arrived(self._wall())
        try:
            if self.config.outage == "reset":
                return _reset(request)
            return await self._api(request, path, raw)
        finally:
            stats.in_flight -= 1

    async def _api(self, request: web.BaseRequest, path: str, raw: bytes) -> web.StreamResponse:
        started = self._clock()
        try:
            endpoint, caller = route(request, path)
            if endpoint is None:
                self._provider.authorize(caller)
                reply = models_reply(path)
            else:
                work = self._provider.accept(endpoint, raw, caller, started)
                return await self._answer(request, work, started)
        except Refused as refusal:
            reply = refusal.reply
        return self._send(reply, started)

    async def _answer(
        self, request: web.BaseRequest, work: Work, started: float
    ) -> web.StreamResponse:
        if work.fault == "hang":
            # Nobody resolves it: aiohttp cancels the handler when the client goes.
            await asyncio.get_running_loop().create_future()
        if work.latency_seconds:
            await self._sleep(work.latency_seconds)
        if work.fault == "reset":
            return _reset(request)
        body = self._provider.deliver(work, self._clock(), int(self._wall()))
        content_type = JSON_TYPE
        if work.fault == "garbage":
            body = b"upstream connect error or disconnect/reset before headers"
        elif work.fault == "truncated":
            body = body[: len(body) // 2]
        reply = Reply(status=200, body=body, headers=work.headers, content_type=content_type)
        response = self._send(reply, started)
        return await _disconnect(request, response) if work.fault == "disconnect" else response

    def _send(self, reply: Reply, started: float) -> web.Response:
        self.stats.by_status[reply.status] += 1
        self._answered += 1
        headers = dict(reply.headers)
        if not self.config.retry_after:
            headers.pop("retry-after", None)
            headers.pop("retry-after-ms", None)
        if reply.status >= 400 and self.config.should_retry is not None:
            headers.setdefault("x-should-retry", str(self.config.should_retry).lower())
        headers["x-request-id"] = f"req_{self._answered:032x}"
        headers["openai-processing-ms"] = str(int((self._clock() - started) * 1000))
        headers["openai-organization"] = "org-sim"
        headers["Content-Type"] = reply.content_type
        return web.Response(status=reply.status, body=reply.body, headers=headers)

    async def _control(self, request: web.BaseRequest, path: str) -> Reply:
        if request.method == "GET" and path != "/_reset":
            shown = self.stats.snapshot() if path == "/_stats" else self.config.as_dict()
            return Reply(status=200, body=orjson.dumps(shown))
        if request.method != "POST" or path == "/_stats":
            return wrong_method(request.method, path)
        if path == "/_reset":
            self.reset()
        else:
            try:
                changes = orjson.loads(await request.read())
                if not isinstance(changes, dict):
                    return error(400, "settings are a JSON object of names and values")
                self._provider.configure(changes, self._clock())
            except ValueError as exc:
                return error(400, str(exc))
        return Reply(status=200, body=orjson.dumps(self.config.as_dict()))


@asynccontextmanager
async def serve(
    config: SimulatorConfig | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    count_tokens: CountTokens = estimate_tokens,
    clock: Clock = time.monotonic,
    wall: Clock = time.time,
    sleep: Sleep = asyncio.sleep,
) -> AsyncIterator[Simulator]:
    """Run a provider until the context ends; port 0 takes a free one.

    `count_tokens` makes usage and limits exact: `lambda text: len(encoding.encode_ordinary(text))`.
    `clock` and `sleep` are those of the limits and the latency, `wall` is the time since 1970.
    When the context ends, connections are closed, whatever is on them.
    """
    simulator = Simulator(config or SimulatorConfig(), count_tokens, clock, wall, sleep)

    def make_request(
        message: Any, payload: Any, protocol: Any, writer: Any, task: asyncio.Task[None]
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES
        )

    server = web.Server(
        simulator.handle,
        request_factory=make_request,
        handler_cancellation=True,
        access_log=None,
    )
    runner = web.ServerRunner(server, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        if ":" in bound_host:
            bound_host = f"[{bound_host}]"
        simulator.url = f"http://{bound_host}:{bound_port}"
        yield simulator
    finally:
        for connection in server.connections:
            connection.force_close()
        await runner.cleanup()


def _response(reply: Reply) -> web.Response:
    headers = {**reply.headers, "Content-Type": reply.content_type}
    return web.Response(status=reply.status, body=reply.body, headers=headers)


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection with a TCP reset before any header."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if connection is not None:
            # Lingering for no time makes the kernel send RST where it would send FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


async def _disconnect(request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
    """Send the headers and half of the body, then close the connection."""
    body = whole.body
    assert isinstance(body, bytes)
    response = web.StreamResponse(status=whole.status, headers=whole.headers)
    response.content_length = len(body)
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
