"""What a worker's operator has allowed, held to where files are opened and names are looked up.

Paths are compared as they are once every symbolic link is followed. Each URL on a way of redirects
is judged for itself. A name that is anybody's (of a prefix without a host) must lead to public
addresses alone, and is connected to at the very ones that were judged, so that no second look-up
can lead elsewhere.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from batcher.core.errors import NotAllowed
from batcher.core.job.reach import (
    admitted,
    begins_so,
    is_address,
    is_link_local,
    is_public,
    is_url_prefix,
)
from batcher.core.job.urls import scheme_of


def check_path(path: str, allowed: Iterable[str], *, verb: str, flag: str) -> None:
    """Refuse a path that is neither one of those nor below one, or is hidden there.

    What is hidden has a name that begins with a dot, or is in a directory that has: state, keys
    and settings are kept in such. A link leads where it leads.

    Args:
        path: as a job names it, from the working directory on where it is relative.
        allowed: paths; what else is allowed is of no concern here.
        verb: what would be done with it.
        flag: what allows it.

    Raises:
        NotAllowed: with what to do.
    """
    shown = "standard input or output" if path == "-" else path
    refusal = NotAllowed(f"this worker may not {verb} {shown}: {flag} would allow it")
    if path == "-":
        raise refusal
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        raise refusal from None
    for prefix in allowed:
        if is_url_prefix(prefix):
            continue
        base = Path(os.path.realpath(prefix))
        if real.is_relative_to(base):
            if any(part.startswith(".") for part in real.relative_to(base).parts):
                raise NotAllowed(f"this worker may not {verb} {shown}, which is hidden")
            return
    raise refusal


def check_address(address: str, allowed: Iterable[str], *, verb: str, flag: str) -> None:
    """Refuse a path as :func:`check_path` does, and a URL that stands under none of those allowed.

    What is at a web server is judged when it is fetched, by :class:`UrlGate`.

    Raises:
        NotAllowed: with what to do. Of a URL the message has neither its path nor its query.
    """
    scheme = scheme_of(address)
    if scheme is None:
        check_path(address, allowed, verb=verb, flag=flag)
    elif not (verb == "read" and scheme in ("http", "https")) and not begins_so(address, allowed):
        raise NotAllowed(f"this worker may not {verb} at {scheme}:// there: {flag} would allow it")


class UrlGate:
    """Lets through what stands under some prefixes."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """``allowed`` are prefixes of URLs; paths among them are of no concern here."""
        self._allowed = allowed

    def connector(self, url: URL) -> TCPConnector:
        """What connects to a URL, and to nothing else than is allowed.

        Raises:
            NotAllowed: it is not. The message has neither its path nor its query.
        """
        how = admitted(str(url), self._allowed)
        where = f"{url.scheme}://{url.host or ''}"
        if how is None:
            raise NotAllowed(
                f"this worker may not fetch from {where}: --allow-source would allow it"
            )
        host = url.host or ""
        check = _check_public if how == "public" else check_named
        if is_address(host):
            # That of a prefix with a host was named by the operator, whatever it is.
            if how == "public":
                check(host, where)
            return TCPConnector()
        return TCPConnector(resolver=GuardedNames(check, where))


class GuardedNames(AbstractResolver):
    """The system's names, as long as all that one leads to is allowed."""

    def __init__(self, check: Callable[[str, str], None], where: str) -> None:
        """``check`` raises what is wrong with an address of ``where``."""
        self._check = check
        self._where = where
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a host."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            self._check(each["host"], self._where)
        return found

    async def close(self) -> None:
        """Nothing is open."""
        await self._resolver.close()


def _check_public(address: str, where: str) -> None:
    if not is_public(address):
        raise NotAllowed(
            f"this worker may not fetch from {where}, which is at an address that is not public: "
            f"--allow-source {where} would allow it"
        )


def check_named(address: str, where: str) -> None:
    """Refuse link-local addresses, to whatever name they belong."""
    if is_link_local(address):
        raise NotAllowed(f"this worker may not ask {where}, at a link-local address")
