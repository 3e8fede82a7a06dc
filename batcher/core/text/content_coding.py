"""The names of what a body is compressed with, as `Content-Encoding` lists them (RFC 9110, 8.4)."""

from __future__ import annotations

KNOWN = frozenset({"gzip", "deflate", "br", "zstd"})
_ALIASES = {"brotli": "br", "zstandard": "zstd"}
_NONE = frozenset({"", "identity", "none"})


def codings(header: str) -> list[str]:
    """What was applied to a body, in that order; what is not known is as the header writes it."""
    return [
        _ALIASES.get(plain, plain)
        for name in header.lower().split(",")
        if (plain := name.strip().removeprefix("x-")) not in _NONE
    ]
