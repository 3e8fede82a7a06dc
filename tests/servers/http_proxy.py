"""A proxy on loopback: CONNECT is answered as a test says, and 200 makes a tunnel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.servers.raw import raw_server


class HttpProxy:
    """What a proxy was asked, and where it sends whoever it lets through."""

    def __init__(self, status: int, target_port: int) -> None:
        self.status = status
        self.target_port = target_port
        self.url = ""
        self.heads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.heads.append(await reader.readuntil(b"\r\n\r\n"))
        if self.status != 200:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.status)
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", self.target_port)
        pipes = [
            asyncio.create_task(_pipe(source, target))
            for source, target in ((reader, back), (there, writer))
        ]
        try:
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            back.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
        await writer.drain()


@asynccontextmanager
async def http_proxy(*, status: int = 200, target_port: int = 0) -> AsyncIterator[HttpProxy]:
    """Serve until the context ends."""
    proxy = HttpProxy(status, target_port)
    async with raw_server(proxy.serve) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
