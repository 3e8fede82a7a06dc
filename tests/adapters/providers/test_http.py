"""The hot path against a real server on loopback: what is sent, and what each loss is called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from batcher.adapters.providers.http import HttpProvider, open_provider
from batcher.core.errors import TransportError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, *, timeout_seconds: float = 5.0) -> AsyncIterator[HttpProvider]:
    app = web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with open_provider(
            f"http://127.0.0.1:{port}/v1/",
            headers={"Authorization": "Bearer sk-canary", "User-Agent": "batcher/test"},
            query={"api-version": "2025-01-01"},
            timeout_seconds=timeout_seconds,
            connections=4,
        ) as provider:
            yield provider
    finally:
        await runner.cleanup()


async def test_a_post_carries_body_query_and_headers_and_gives_the_whole_answer() -> None:
    seen: list[tuple[str, str | None, str | None, bytes]] = []
    names: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        headers = request.headers
        body = await request.read()
        seen.append(
            (str(request.rel_url), headers.get("Authorization"), headers.get("User-Agent"), body)
        )
        names.append(headers["X-Client-Request-Id"])
        return web.json_response({"ok": 1}, status=201, headers={"X-RateLimit-Limit-Requests": "9"})

    async with serving(handler) as provider:
        reply = await provider.post("/embeddings", b"{}", "r-1")
        large = b"x" * (2**20 + 1)
        await provider.post("/embeddings", large, "r-2")
    assert reply.status == 201
    assert reply.body == b'{"ok": 1}'
    assert reply.headers.get("x-ratelimit-limit-requests") == "9"
    url = "/v1/embeddings?api-version=2025-01-01"
    assert seen[0] == (url, "Bearer sk-canary", "batcher/test", b"{}")
    assert seen[1][3] == large
    assert names == ["r-1", "r-2"]


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    async def handler(request: web.Request) -> web.Response:
        del request
        raise web.HTTPFound("/elsewhere")

    async with serving(handler) as provider:
        assert (await provider.post("/x", b"", "r-1")).status == 302


async def test_no_answer_in_time_may_have_been_billed() -> None:
    async def handler(request: web.Request) -> web.Response:
        del request
        await asyncio.Event().wait()
        return web.Response()

    async with serving(handler, timeout_seconds=0.05) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"{}", "r-1")
    assert (caught.value.code, caught.value.maybe_billed) == ("timeout", True)


@pytest.mark.parametrize("after_bytes", [0, 5])
async def test_a_lost_connection_may_have_been_billed(after_bytes: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        if after_bytes:
            await response.prepare(request)
            await response.write(b"x" * after_bytes)
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(handler) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"{}", "r-1")
    assert (caught.value.code, caught.value.maybe_billed) == ("disconnect", True)


async def test_a_refused_connection_was_never_billed(unused_tcp_port: int) -> None:
    async with open_provider(
        f"http://127.0.0.1:{unused_tcp_port}",
        headers={},
        query={},
        timeout_seconds=5,
        connections=1,
    ) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"{}", "r-1")
    assert (caught.value.code, caught.value.maybe_billed) == ("connect", False)


async def test_a_connection_that_is_never_made_was_never_billed() -> None:
    with socket.socket() as listener:  # nobody accepts, and one that waits fills its queue
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        try:
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(listener.getsockname())
            async with open_provider(
                f"http://127.0.0.1:{listener.getsockname()[1]}",
                headers={},
                query={},
                timeout_seconds=0.5,
                connections=1,
            ) as provider:
                with pytest.raises(TransportError) as caught:
                    await provider.post("/x", b"{}", "r-1")
        finally:
            for each in waiting:
                each.close()
    assert (caught.value.code, caught.value.maybe_billed) == ("connect", False)


async def test_neither_its_repr_nor_its_errors_hold_the_key() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with serving(handler) as provider:
        with pytest.raises(TransportError) as caught:
            await provider.post("/x", b"canary row", "r-1")
        assert repr(provider).startswith("<HttpProvider http://127.0.0.1:")
        assert "canary" not in repr(provider) + str(caught.value) + repr(caught.value)
