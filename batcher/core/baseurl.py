"""Where an API is: whether a URL can be that, judged before anything is sent to it.

A URL that no request can be sent to would look like a provider that is down, and be tried again
for a quarter of an hour. Nothing is resolved or connected to here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from batcher.core.errors import UsageError

_VERSION = re.compile(r"v\d+[a-z0-9]*")
_EXAMPLE = "write it like https://api.openai.com/v1 or http://localhost:8000/v1"


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
        return "has a blank or a control character in it"
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
