"""A server that writes exactly the bytes that a test says, when it says so."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from batcher.adapters.providers.http import HttpProvider, open_provider

CHUNKED = b"HTTP/1.1 %s\r\nTransfer-Encoding: chunked\r\n%s\r\n"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Peer:
    """One connection: the requests that come in on it, and whatever is written to it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.asked = 0

    async def request(self) -> bytes | None:
        """The next request's body; None where the client is gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await self._reader.readexactly(int(length.group(1)) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self.asked += 1
        return body

    async def read(self) -> bytes:
        """Some of what comes; nothing at its end."""
        return await self._reader.read(2**20)

    def write(self, data: bytes) -> None:
        """Send the bytes at once, in a segment of their own."""
        with suppress(ConnectionError):
            self.writer.write(data)

    async def rest(self, seconds: float = 0.005) -> None:
        """Long enough for what was written to be read by the other side."""
        with suppress(ConnectionError):
            await self.writer.drain()
        await asyncio.sleep(seconds)


Talk = Callable[[Peer], Awaitable[None]]


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    """Some of a body that is sent in chunks; empty for its end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def echo(body: bytes) -> bytes:
    """The answer that says what was asked."""
    return answer(json.dumps({"asked": body.decode()}).encode())


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[str]:
    """A base URL behind which ``talk`` has every connection."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.CancelledError):
            await talk(Peer(reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**24)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def asking(
    talk: Talk, *, timeout_seconds: float = 5.0, connections: int = 4
) -> AsyncIterator[HttpProvider]:
    """A provider in front of such a server."""
    async with (
        raw_server(talk) as url,
        open_provider(
            url, headers={}, query={}, timeout_seconds=timeout_seconds, connections=connections
        ) as provider,
    ):
        yield provider
