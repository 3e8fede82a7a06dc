"""URLs: whether one can be where an API is, or an input; and how it may be shown.

A URL that no request can be sent to would look like a provider that is down, and be tried again
for a quarter of an hour. The query of an input's URL may sign it, so it is shown nowhere; a
password in a URL is refused. Nothing is resolved or connected to here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from batcher.core.errors import UsageError

_VERSION = re.compile(r"v\d+[a-z0-9]*")
_EXAMPLE = "write it like https://api.openai.com/v1 or http://localhost:8000/v1"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_base_url(url: str) -> None:
    """Refuse what cannot be a base URL.

    Raises:
        UsageError: what is wrong with it. A URL that may hold a credential is not quoted.
    """
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise UsageError(
            "--base-url holds a user or a password: put it into the environment and name it in a "
            "header, as in --header 'Authorization: $MY_SECRET'"
        )
    if "?" in url or "#" in url:
        raise UsageError(
            "--base-url ends before any ? or #: --api-version says Azure's version; "
            f"for the rest, {_EXAMPLE}"
        )
    if fault := _fault(url):
        raise UsageError(f"--base-url {url!r} {fault}: {_EXAMPLE}")


def unreached(url: str, why: str, *, provider: str | None = None) -> str:
    """What to say while nothing has ever answered at a base URL, ``why``, and what to do about it.

    ``provider`` is the name under which a configuration says the URL.
    """
    host = urlsplit(url).hostname or ""
    here = host in ("localhost", "::1") or host.startswith("127.")
    start = (
        "start the server there" if here else "check that it runs and that this machine is online"
    )
    where = "--base-url" if provider is None else f"base_url of [providers.{provider}]"
    return f"nothing answers at {shown_url(url)} ({why}): {start}, or set {where} to where it is"


def with_version(url: str) -> str | None:
    """A base URL with the ``/v1`` that it may lack; None where it names a version."""
    parts = urlsplit(url)
    if any(_VERSION.fullmatch(part) for part in parts.path.split("/")):
        return None
    return f"{url.rstrip('/')}/v1"


def _fault(url: str) -> str:
    """What is wrong with a URL that may be shown; empty where nothing is."""
    if not url.lower().startswith(("http://", "https://")):
        return "does not begin with http:// or https://"
    if any(character.isspace() or not character.isprintable() for character in url):
        return "contains a blank or a control character"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has an invalid host or port"
    if not parts.hostname:
        return "names no host"
    if port == 0 or parts.netloc.endswith(":"):
        return "has no port after the colon"
    return ""


def scheme_of(text: str) -> str | None:
    """The scheme of a URL, in small letters; None where a text is a path."""
    return text.split("://", 1)[0].lower() if _SCHEME.match(text) else None


def check_web_url(text: str) -> None:
    """Refuse an input on the web that could not be fetched, or would tell a password.

    Raises:
        UsageError: what is wrong with it; it is not quoted.
    """
    netloc = text.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    if "@" in netloc:
        raise UsageError("the input's URL holds a user or a password, which would be kept: sign it")
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise UsageError("the input's URL names no host")


def shown_url(url: str) -> str:
    """A URL without its query, which may hold a signature."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def shown_input(name: str) -> str:
    """What an input is called in a report: a path as it is, a URL as :func:`shown_url`."""
    return shown_url(name) if scheme_of(name) else name
