"""The proxy between this machine and an API, by the names that every tool reads.

``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in capitals or not. This machine
itself is never reached through a proxy, as Go has it.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from batcher.core.errors import UsageError

_HERE = ("localhost", "127.0.0.1", "::1")
_EXAMPLE = "write it like http://proxy.example.com:3128"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy: ``url`` may hold a password, which ``secrets`` do, too; ``address`` holds none."""

    url: str = field(repr=False)
    variable: str
    address: str
    secrets: tuple[str, ...] = field(default=(), repr=False)


def proxy_for(url: str) -> Proxy | None:
    """The environment's proxy for a URL, None where it is reached without one.

    Raises:
        UsageError: what the environment names is no proxy that can be spoken to.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in _HERE or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = urllib.request.getproxies()
    scheme = parts.scheme if proxies.get(parts.scheme) else "all"
    named = proxies.get(scheme, "").strip()
    return _read(named, f"{scheme.upper()}_PROXY") if named else None


def check_authorities(environment: Mapping[str, str]) -> None:
    """Refuse an ``SSL_CERT_FILE`` that is no file: without a word, nobody would be trusted.

    Raises:
        UsageError: there is none.
    """
    path = environment.get("SSL_CERT_FILE", "")
    if path and not Path(path).is_file():
        raise UsageError(f"SSL_CERT_FILE names {path}, which is not a file")


def _read(url: str, variable: str) -> Proxy:
    scheme, separator, _ = url.partition("://")
    if not separator:
        raise UsageError(f"{variable} has no scheme: {_EXAMPLE}")
    if scheme.lower() not in ("http", "https"):
        raise UsageError(
            f"{variable} names a {scheme}:// proxy, which is not supported: name one that is "
            f"spoken to by HTTP, and {_EXAMPLE}"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"{variable} names no host or no port: {_EXAMPLE}") from error
    if not host or any(not character.isprintable() for character in url):
        raise UsageError(f"{variable} names no host: {_EXAMPLE}")
    password = unquote(parts.password or "")
    return Proxy(
        url=url,
        variable=variable,
        address=host if port is None else f"{host}:{port}",
        secrets=tuple(dict.fromkeys(filter(None, (password, parts.password)))),
    )
