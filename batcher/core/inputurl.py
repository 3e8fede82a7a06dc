"""Inputs that are fetched: whether a text names one, and how it may be shown.

The query of a URL may sign it, so it is shown nowhere; a password in it is refused. Nothing is
resolved or connected to here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from batcher.core.errors import UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def is_url(text: str) -> bool:
    """Whether an input is to be fetched.

    Raises:
        UsageError: it is a URL, and not one that is.
    """
    if not _SCHEME.match(text):
        return False
    if not text.lower().startswith(("http://", "https://")):
        raise UsageError(
            f"{_scheme(text)}:// inputs cannot be fetched: name a file, or a URL that begins with "
            "https:// or http://"
        )
    netloc = text.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    if "@" in netloc:
        raise UsageError("the input's URL holds a user or a password, which would be kept: sign it")
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise UsageError("the input's URL names no host")
    return True


def shown(url: str) -> str:
    """A URL without its query, which may hold a signature."""
    return re.split(r"[?#]", url, maxsplit=1)[0]


def shown_input(name: str) -> str:
    """What an input is called in a report: a path as it is, a URL as :func:`shown`."""
    return shown(name) if is_url(name) else name


def _scheme(text: str) -> str:
    return text.split("://", 1)[0].lower()
