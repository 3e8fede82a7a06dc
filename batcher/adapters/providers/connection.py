"""Connections on which an answer can only be that of the request that it was sent for.

HTTP/1.1 has no ids: whoever reads the next bytes of a connection takes them for the answer to what
he wrote last. aiohttp keeps what a server sends beyond an answer, or while nobody waits for one,
and gives it to the next request. Here such bytes end their connection:

- bytes on an idle connection, and a second answer behind the first;
- bytes that lie in the socket, or come in, before the next request's first byte is written: that
  request was not sent at all (:class:`StaleConnection`) and goes out on another connection;
- an answer that begins before its request is whole, on a connection that was used before: nobody
  can tell whose it is, so it is lost. On a new one it is what it seems: an early refusal.

A server that was seen to send what nobody asked for is not trusted with a second request on any
connection: what comes a moment later, with the next request already written, cannot be told from
that one's answer. Farewells (a 408, which proxies send before they close) are no such sign.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from batcher.adapters.providers.peeking import has_bytes

_FAREWELL = b" 408"
_SWITCHING = 101
_JOINED_BYTES = 2**16
"""A body up to this is sent in one piece with its head; beyond it, a copy costs more."""
_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,18})[ \t]*\r\n", re.IGNORECASE)


class StaleConnection(aiohttp.ClientConnectionError):
    """Nothing was sent: the connection had ended, or held bytes that nobody had asked for.

    ``fresh`` where the connection was a new one: another would hardly do better.
    """

    def __init__(self, *, fresh: bool) -> None:
        super().__init__("the connection could not be used")
        self.fresh = fresh


class _Server:
    """What is known of the server behind all connections of a session."""

    trusted = True


class _Answers(ResponseHandler):
    """One connection, which keeps account of whether an answer is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop, server: _Server) -> None:
        super().__init__(loop)
        self._server = server
        self._uses = 0
        self._writing = False  # a request's first byte may have left
        self._asked = False  # its last byte has, as far as was seen
        self._answered = False  # an answer has begun that is no interim one
        self._descriptor = -1
        self._params: dict[str, Any] = {}
        self._beginning: bytes | None = None  # the segment that an answer begins with

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        socket = transport.get_extra_info("socket")
        if socket is not None:
            self._descriptor = socket.fileno()
        self._encrypted = transport.get_extra_info("sslcontext") is not None

    def set_response_params(self, **params: Any) -> None:
        """A request takes the connection (a tunnel's is written before)."""
        if not self._asked or self._answered:
            self._uses += 1
            self._writing = self._asked = self._answered = False
            if not self._server.trusted:
                self.force_close()
        at_rest = not (self._tail or self._reading_paused or self._buffer_paused)
        if params == self._params and self._parser is not None and at_rest:
            return
        self._params = params
        super().set_response_params(**params)

    def ask(self, head: bytes, body: bytes) -> None:
        """Write a request, unless the connection cannot be used: whoever reads is told so."""
        if self._exception is None and (not self.is_connected() or self._has_stray_bytes()):
            self._refuse()
        transport = self.transport
        if self._exception is not None or transport is None:
            return
        self._writing = True
        if len(body) < _JOINED_BYTES:
            transport.write(head + body)
        else:  # in memory already, wherever it waits
            transport.write(head)
            transport.write(body)

    def start_timeout(self) -> None:
        """Told by aiohttp when the last byte of a tunnel's request is written."""
        self._writing = self._asked = True
        super().start_timeout()

    def data_received(self, data: bytes) -> None:
        if self._writing and not self._asked:
            transport = self.transport
            self._asked = transport is None or not transport.get_write_buffer_size()
        if not data or (self._asked and not self._is_idle()):
            self._beginning = None if self._answered else data
            super().data_received(data)
            self._beginning = None
        elif self._is_idle() or not self._uses:
            self._distrust(data)
        elif not self._writing:
            self._distrust(data)
            self._refuse()
        elif self._uses > 1:
            self.set_exception(aiohttp.ServerDisconnectedError("an answer came too early"))
            self._end()
        else:
            self.force_close()
            super().data_received(data)

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A message has begun; one that nobody asked for is thrown away."""
        if self._answered:
            self._distrust(b"")
            return
        code = data[0].code
        self._answered = code >= 200 or code == _SWITCHING
        super().feed_data(data, size)

    def set_exception(self, exc: Any, *cause: Any) -> None:
        """What cannot be read ends the connection; an answer that is whole before it counts."""
        whole = None
        if self._beginning is not None and isinstance(exc, HttpProcessingError):
            whole, self._beginning = _whole_answer(self._beginning), None
        if whole is None:
            super().set_exception(exc, *cause)
            payload = self._payload
            if isinstance(exc, HttpProcessingError) and payload and not payload.is_eof():
                # Broken behind its head: whoever reads the body waits at the body, and is not told.
                payload.set_exception(aiohttp.ClientPayloadError("a chunk is not one"))
        else:
            self._distrust(b"")
            super().set_response_params(**self._params)
            super().data_received(whole)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._uses and not self._writing and self.exception() is None:
            self._refuse()
        super().connection_lost(exc)

    def close(self) -> None:
        """End the connection; what of a request has not left yet is not sent any more."""
        if self.transport is not None and self.transport.get_write_buffer_size():
            self.abort()
        else:
            super().close()

    def _is_idle(self) -> bool:
        payload = self._payload
        return self._answered and (payload is None or payload.is_eof())

    def _has_stray_bytes(self) -> bool:
        """Bytes, or the end of the stream, that the event loop has not read yet.

        On a new encrypted connection they are the encryption's own.
        """
        return (self._uses > 1 or not self._encrypted) and has_bytes(self._descriptor)

    def _refuse(self) -> None:
        self.set_exception(StaleConnection(fresh=self._uses == 1))

    def _distrust(self, data: bytes) -> None:
        if _FAREWELL not in data[:16]:
            self._server.trusted = False
        self.force_close()
        self._end()

    def _end(self) -> None:
        if self.transport is not None:
            self.transport.close()


def _whole_answer(segment: bytes) -> bytes | None:
    """The one whole answer that a segment begins with, if it says how long that is."""
    head = segment.find(_HEAD_ENDS) + len(_HEAD_ENDS)
    length = _LENGTH.search(segment, 0, head)
    end = head + int(length.group(1)) if length else len(segment)
    return segment[:end] if end < len(segment) else None


class OwnAnswers(aiohttp.TCPConnector):
    """A connector whose connections give nobody another's answer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        made: Any = partial(_Answers, loop=self._loop, server=_Server())
        self._factory = made
