"""A TCP proxy on loopback that cuts connections at the moment that a test names."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum

_CHUNK_BYTES = 65_536
_COMMIT = b"COMMIT"


class Cut(Enum):
    """When a connection is lost: before the server hears of a COMMIT, or before the client does."""

    BEFORE_COMMIT = "before"
    AFTER_COMMIT = "after"


class Proxy:
    """Passes on what clients and a server say; ``port`` is where clients connect."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.cuts = 0
        self._server_port = server_port
        self._next: Cut | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self, when: Cut) -> None:
        """Cut the next connection that commits, once."""
        self._next = when

    def cut_all(self) -> None:
        """Cut every connection now."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        try:
            upstream, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_server}
        committing = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._to_server(reader, to_server, committing))
                both.create_task(self._to_client(upstream, writer, committing))
        except* (OSError, _Over):
            pass
        for end in (writer, to_server):
            end.transport.abort()
            self._writers.discard(end)

    async def _to_server(
        self, client: asyncio.StreamReader, server: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        while said := await client.read(_CHUNK_BYTES):
            if self._next is not None and _COMMIT in said:
                self.cuts += 1
                if self._next is Cut.BEFORE_COMMIT:
                    self._next = None
                    raise _Over
                self._next = None
                committing.set()
            server.write(said)
            await server.drain()
        raise _Over

    async def _to_client(
        self, server: asyncio.StreamReader, client: asyncio.StreamWriter, committing: asyncio.Event
    ) -> None:
        while said := await server.read(_CHUNK_BYTES):
            if committing.is_set():
                raise _Over  # the server has committed, and nobody hears of it
            client.write(said)
            await client.drain()
        raise _Over


class _Over(Exception):
    """The connection has ended."""


@asynccontextmanager
async def proxy(server_port: int) -> AsyncIterator[Proxy]:
    """A proxy before a server on loopback."""
    between = Proxy(server_port)
    async with await asyncio.start_server(between.serve, "127.0.0.1", 0) as listening:
        between.port = listening.sockets[0].getsockname()[1]
        yield between
        between.cut_all()
