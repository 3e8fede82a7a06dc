"""One POST after the other over aiohttp's connections, with what they have in common made once.

aiohttp makes a request, a payload, a writer, a response and a task for each request, and all of its
headers anew: about as much work again as sending and parsing. Here aiohttp makes one request for
each path, with all that a session knows: headers, credentials in URLs, proxies. Its connector keeps
the connections, its parser reads the answers. In between, the head of the request is a text of
which two lines change.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import StreamReader
from multidict import CIMultiDictProxy

from batcher.adapters.providers.connection import OwnAnswers

_SWITCHING: Final = 101
_BREAKS: Final = ("\r", "\n", "\0")


class Answer:
    """The head of an answer, and its body as it comes; to be closed or released in the end."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: StreamReader,
    ) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    def close(self) -> None:
        """Give up what is still to come, and the connection with it."""
        self._connection.close()

    def release(self) -> None:
        """Let others use the connection, if the answer was read to its end."""
        if self.content.is_eof():
            self._connection.release()
        else:
            self._connection.close()


class Poster:
    """POSTs bodies to paths below one URL."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: OwnAnswers,
        base_url: str,
        *,
        timeout: aiohttp.ClientTimeout,
        reading: dict[str, int],
        request_options: dict[str, Any],
    ) -> None:
        """A poster that uses the connector of a session.

        Args:
            session: what requests are made by, with its headers.
            connector: the session's own.
            base_url: without a trailing slash.
            timeout: for connecting.
            reading: bounds of the parser, by aiohttp's names for them.
            request_options: what aiohttp's ``post`` takes, the same for every request.
        """
        self._session = session
        self._connector = connector
        self._base_url = base_url
        self._timeout = timeout
        self._reading = reading
        self._options = request_options
        self._requests: dict[str, _Request] = {}

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Send one request, and read the head of its answer.

        A ``Content-Type`` among the headers is in place of the session's.

        Raises:
            aiohttp.ClientError: there is no answer.
            StaleConnection: nothing was sent.
        """
        request = self._requests.get(path)
        if request is None:
            request = self._requests[path] = await self._prepare(path)
        made = request.made
        try:
            connection = await self._connector.connect(made, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {made.url} in time") from error
        try:
            protocol: Any = connection.protocol
            protocol.set_response_params(**self._reading)
            protocol.ask(request.head(headers, len(body)), body)
            while True:
                message, content = await protocol.read()
                if message.code >= 200 or message.code == _SWITCHING:
                    return Answer(connection, message.code, message.headers, content)
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                made.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise

    async def _prepare(self, path: str) -> _Request:
        """What aiohttp would send to a path, caught at the moment before it does."""

        async def catch(made: aiohttp.ClientRequest, _: Any) -> aiohttp.ClientResponse:
            raise _Made(made)

        try:
            await self._session.post(
                self._base_url + path, data=b"{}", middlewares=(catch,), **self._options
            )
        except _Made as caught:
            return _Request(caught.request)
        raise AssertionError("aiohttp calls every middleware")


class _Made(Exception):  # no error
    """A request is made."""

    def __init__(self, request: aiohttp.ClientRequest) -> None:
        super().__init__()
        self.request = request


class _Request:
    """A request of aiohttp's, as bytes."""

    def __init__(self, made: aiohttp.ClientRequest) -> None:
        self.made = made
        self._start = ""

    def head(self, headers: dict[str, str], size: int) -> bytes:
        """The head for a body of ``size`` bytes, with some more headers.

        To be called when there is a connection: a proxy's credentials come with the first one.
        """
        if "Content-Type" in headers:
            start = self._serialize(("content-length", "content-type"))
        else:
            start = self._start
            if not start:
                start = self._start = self._serialize(("content-length",))
        for name, value in headers.items():
            start += f"{name}: {value}\r\n"
        return f"{start}Content-Length: {size}\r\n\r\n".encode()

    def _serialize(self, left_out: Collection[str]) -> str:
        made = self.made
        target = made.url.raw_path_qs if made.is_ssl() or not made.proxy else str(made.url)
        lines = [f"POST {target} HTTP/1.1"]
        for name, value in made.headers.items():
            if name.lower() not in left_out:
                lines.append(f"{name}: {value}")
        if any(character in line for line in lines for character in _BREAKS):
            raise ValueError("a header has a line break in it")
        return "\r\n".join([*lines, ""])
