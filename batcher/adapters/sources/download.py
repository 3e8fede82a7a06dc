"""Inputs at a URL: fetched whole to disk, within limits of time, before anything is read of them.

Redirects are followed, to http and https alone. What may pass is tried again; an answer that came
in part is thrown away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from batcher.adapters.sources import Spool, open_spooled
from batcher.adapters.system.reach_guards import UrlGate
from batcher.core.errors import InputError
from batcher.core.job.urls import check_web_url, shown_url
from batcher.ports import Clock, InputSource, SourceRequest

_TRIES = 3
_WAIT_SECONDS = 2.0
_BLOCK_BYTES = 1 << 20
_MAY_PASS = frozenset({408, 425, 429})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds for a whole download, for a connection, and between two pieces of an answer."""

    whole: float = 3600.0
    connect: float = 30.0
    read: float = 60.0


class WebSources:
    """What is at a web server (:class:`batcher.ports.Source`)."""

    async def open(self, wanted: SourceRequest) -> InputSource:
        """See :meth:`batcher.ports.Source.open`."""
        return await open_url(wanted)


WEB: Final = WebSources()


async def open_url(wanted: SourceRequest, *, patience: Patience | None = None) -> InputSource:
    """Fetch an input; its format is what was asked for, or what the URL's path says.

    Where not everything may be read, the URL is judged, and all that it redirects to.

    Raises:
        UsageError: the format is not known, or the URL names no host or holds a password.
        NotAllowed: it may not be read.
        InputError: it cannot be fetched, or is too long. The message does not have the URL's query.
    """
    url, clock = wanted.address, wanted.clock
    check_web_url(url)
    gate = None if wanted.allowed is None else UrlGate(wanted.allowed)
    name, patience = shown_url(url), patience or Patience()
    spool = await asyncio.to_thread(
        partial(Spool, wanted.spool_dir, source=name, most_bytes=wanted.max_bytes)
    )
    try:
        source = open_spooled(
            spool,
            unquote(urlsplit(url).path),
            name=name,
            format=wanted.format,
            delimiter=wanted.delimiter,
            encoding=wanted.encoding,
        )
        await _fetch(url, spool, name=name, clock=clock, patience=patience, gate=gate)
    except BaseException:
        spool.close()
        raise
    return source


async def _fetch(
    url: str, spool: Spool, *, name: str, clock: Clock, patience: Patience, gate: UrlGate | None
) -> None:
    deadline = clock.now() + patience.whole
    for tries_left in reversed(range(_TRIES)):
        left = deadline - clock.now()
        fault, may_pass = await _try(url, spool, patience, max(left, 0.001), gate)
        if not fault:
            return
        if not may_pass or not tries_left or clock.now() + _WAIT_SECONDS >= deadline:
            raise InputError(f"cannot be fetched: {fault}", source=name)
        spool.empty()
        await clock.sleep(_WAIT_SECONDS)


async def _try(
    url: str, spool: Spool, patience: Patience, left: float, gate: UrlGate | None
) -> tuple[str, bool]:
    """One download: what went wrong, empty where nothing did, and whether that may pass."""
    timeout = aiohttp.ClientTimeout(
        total=left, sock_connect=patience.connect, sock_read=patience.read
    )
    try:
        async with asyncio.timeout(left), ask(url, timeout, gate) as reply:
            if reply.status != 200:
                return f"HTTP {reply.status}", reply.status >= 500 or reply.status in _MAY_PASS
            spool.expect(reply.content_length or 0)
            async for block in reply.content.iter_chunked(_BLOCK_BYTES):
                await asyncio.to_thread(spool.write, block)
            return "", False
    except TimeoutError:
        return "it takes too long", True
    except aiohttp.NonHttpUrlRedirectClientError:
        return "it redirects to a URL that is neither http nor https", False
    except aiohttp.TooManyRedirects:
        return "it redirects without an end", False
    except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError):
        return "the server's certificate is not trusted here", False
    except aiohttp.InvalidURL:
        return "it is not a URL", False
    except aiohttp.ClientPayloadError:
        return "the answer ended early", True
    except aiohttp.ClientError:
        return "there is no connection", True


@asynccontextmanager
async def ask(
    url: str, limits: aiohttp.ClientTimeout, gate: UrlGate | None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer at the end of all redirects, of which the gate judges each.

    Raises:
        NotAllowed: one of them may not be fetched.
        aiohttp.ClientError: there is no answer.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "batcher"}
    if gate is None:
        async with (
            aiohttp.ClientSession(timeout=limits, headers=headers) as session,
            session.get(url) as reply,
        ):
            yield reply
        return
    here = URL(url)
    for left in reversed(range(_MOST_REDIRECTS)):
        async with (
            aiohttp.ClientSession(
                connector=gate.connector(here), timeout=limits, headers=headers
            ) as session,
            session.get(here, allow_redirects=False) as reply,
        ):
            target = reply.headers.get("Location")
            if reply.status not in _REDIRECTS or target is None:
                yield reply
                return
            if not left:
                raise aiohttp.TooManyRedirects(reply.request_info, reply.history)
            here = _next(here, target)


def _next(here: URL, target: str) -> URL:
    """Where a redirect leads."""
    try:
        there = here.join(URL(target))
    except ValueError as exc:
        raise aiohttp.InvalidUrlRedirectClientError(target) from exc
    if there.scheme not in ("http", "https"):
        raise aiohttp.NonHttpUrlRedirectClientError(target)
    return there
