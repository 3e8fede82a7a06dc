"""The gate before inputs at URLs: which may be fetched, and at which addresses.

Each URL on a way of redirects is judged for itself. A name that is anybody's (of a prefix without a
host) must lead to public addresses alone, and is connected to at the very ones that were judged, so
that no second look-up can lead elsewhere.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from aiohttp import TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from batcher.core.errors import NotAllowed
from batcher.core.job.reach import admitted, is_address, is_link_local, is_public


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
