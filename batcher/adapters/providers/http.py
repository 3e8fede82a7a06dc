"""The hot path: one aiohttp session, keep-alive, one POST an answer, and no retries of its own."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver

from batcher.adapters.providers.answer_body import BLOCK_BYTES, read_body
from batcher.adapters.providers.connection import OwnAnswers, StaleConnection
from batcher.adapters.providers.posting import Poster
from batcher.adapters.providers.proxy import Proxy
from batcher.adapters.providers.time_limit import TimeLimit
from batcher.adapters.providers.transport_errors import transport_error
from batcher.ports import JSON_TYPE, MOST_ANSWER_BYTES, AnswerRoom, Reply

REQUEST_ID = "X-Client-Request-Id"
"""OpenAI's name for an id that the client chooses: at most 512 characters of ASCII."""
_CONNECT_SECONDS = 30.0
_CONNECT_SHARE = 0.9
"""Of a request's time: what is still connecting when that is over was certainly not sent. Where the
rest runs out before, with names to be looked up or many addresses tried, it counts as sent."""
_IDLE_SECONDS = 4.0
"""How long a connection may be idle and is used again. Servers of Uvicorn and Node close theirs
after 5 s; a request that leaves at that moment is lost, and nobody knows whether it was served."""
_HEADER_BYTES = 2**18  # gateways and tracing put long ones into their answers
_HEADERS = 1_000


class HttpProvider:
    """POSTs to one API (:class:`batcher.ports.Provider`)."""

    def __init__(
        self,
        poster: Poster,
        base_url: str,
        *,
        proxy: Proxy | None,
        time_limit: TimeLimit,
        key_header: str = "",
    ) -> None:
        """``base_url`` is where the poster posts to, through ``proxy``.

        ``key_header`` names the header for idempotency keys; where it is empty none is sent.
        """
        self._poster = poster
        self._base_url = base_url
        self._proxy = proxy
        self._time_limit = time_limit
        self._key_header = key_header

    def __repr__(self) -> str:
        """Where it posts to; never with what credential."""
        return f"<HttpProvider {self._base_url}>"

    async def post(
        self,
        path: str,
        body: bytes,
        request_id: str,
        *,
        key: str = "",
        most_bytes: int = MOST_ANSWER_BYTES,
        room: AnswerRoom | None = None,
        content_type: str = JSON_TYPE,
    ) -> Reply:
        """See :meth:`batcher.ports.Provider.post`. Redirects are not followed."""
        headers = {REQUEST_ID: request_id}
        if key and self._key_header:
            headers[self._key_header] = key
        if content_type != JSON_TYPE:
            headers["Content-Type"] = content_type
        try:
            with self._time_limit():
                while True:
                    try:
                        answer = await self._poster.post(path, body, headers)
                    except StaleConnection as exc:
                        if exc.fresh:
                            raise
                        continue
                    try:
                        told = await read_body(answer, request_id, most_bytes, room)
                        return Reply(answer.status, answer.headers, told)
                    finally:
                        answer.release()
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise transport_error(exc, urlsplit(self._base_url).netloc, self._proxy) from exc


@asynccontextmanager
async def open_provider(
    base_url: str,
    *,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    timeout_seconds: float,
    connections: int,
    proxy: Proxy | None = None,
    key_header: str = "",
    resolver: AbstractResolver | None = None,
) -> AsyncIterator[HttpProvider]:
    """A provider with a session of its own.

    Args:
        base_url: scheme, host and path, such as ``https://api.openai.com/v1``.
        headers: sent with every request, credentials among them.
        query: parameters of every URL.
        timeout_seconds: seconds for one request, answer included.
        connections: how many may be open at once.
        proxy: what all requests go through; for TLS by CONNECT.
        key_header: the header for idempotency keys; none where it is empty.
        resolver: what looks names up; the system, where it is None.
    """
    base_url = base_url.rstrip("/")
    connector = OwnAnswers(
        limit=connections,
        ttl_dns_cache=300,
        keepalive_timeout=_IDLE_SECONDS,
        resolver=resolver,
    )
    connect_seconds = min(_CONNECT_SECONDS, _CONNECT_SHARE * timeout_seconds)
    timeout = aiohttp.ClientTimeout(
        total=None,
        sock_connect=connect_seconds,
        ceil_threshold=math.inf,  # not to whole seconds: it must end before the request's time
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=timeout,
        headers={"Content-Type": JSON_TYPE, **headers},
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent",) if "User-Agent" in headers else (),
    ) as session:
        poster = Poster(
            session,
            connector,
            base_url,
            timeout=timeout,
            reading={
                "read_until_eof": True,  # a body of no told length
                "auto_decompress": False,  # read_body does, and bears with more
                "read_bufsize": BLOCK_BYTES,
                "max_line_size": _HEADER_BYTES,
                "max_field_size": _HEADER_BYTES,
                "max_headers": _HEADERS,
            },
            request_options={
                "params": query or None,
                "proxy": None if proxy is None else proxy.url,
            },
        )
        with closing(TimeLimit(timeout_seconds)) as time_limit:
            yield HttpProvider(
                poster, base_url, proxy=proxy, time_limit=time_limit, key_header=key_header
            )
