"""The second, lenient reading of an answer that was paid for and is nearly JSON.

Only what the strict reader refuses comes here. Servers write numbers that JSON does not have,
halves of a cut emoji, raw control characters, bytes of another encoding, and lines that keep a
connection alive. What cannot be kept becomes U+FFFD, so that whatever is read can be written to
every output. Nothing is guessed: a body that holds no whole object, or two, is not read at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
_BLANK: Final = " \t\r\n\x00\ufeff"
_MOST_DIGITS: Final = 20
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|(\')|)')
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_object(body: bytes, content_type: str = "") -> dict[str, Any] | None:
    """The object that a body holds, or None.

    Args:
        body: the bytes of an answer, decompressed.
        content_type: the header, whose charset counts where the bytes are not UTF-8.
    """
    text = _after_comments(_decoded(body, content_type))
    if not text.startswith("{"):
        return None
    for spelled in (_as_it_is, _with_escapes_mended):
        answer = _first_object(spelled(text))
        if answer is not None:
            return answer
    return None


def decode_value(text: str, start: int = 0) -> tuple[object, int]:
    """The JSON value that begins at ``start``, and where it ends.

    ``NaN`` and the infinities are floats, as are integers beyond 64 bits; control characters stay
    within strings; a half of a surrogate pair becomes U+FFFD.

    Raises:
        ValueError: there is none, or it is nested too deeply.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _writable(value), end


def writable(text: str) -> str:
    """The text with U+FFFD in place of every half of a surrogate pair; whole pairs are joined."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _decoded(body: bytes, content_type: str) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        # UTF-16 and UTF-32 show in their first bytes; surrogates in UTF-8 are joined later.
        return body.decode(json.detect_encoding(body), "surrogatepass")
    except UnicodeDecodeError:
        pass
    charset = _CHARSET.search(content_type)
    if charset is not None:
        try:
            return body.decode(charset.group(1), "replace")
        except (LookupError, ValueError):
            pass  # a name of its own, or of something else than a text's encoding
    return body.decode("utf-8", "replace")


def _after_comments(text: str) -> str:
    """The text behind blank lines and the comments of an event stream (``: PROCESSING``)."""
    text = text.lstrip(_BLANK)
    while text.startswith(":"):
        text = text.partition("\n")[2].lstrip(_BLANK)
    return text


def _first_object(text: str) -> dict[str, Any] | None:
    """The object that the text begins with, unless another one that differs comes behind it."""
    try:
        value, end = decode_value(text)
        second = text.find("{", end)
        if second >= 0 and decode_value(text, second)[0] != value:
            return None
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _as_it_is(text: str) -> str:
    return text


def _with_escapes_mended(text: str) -> str:
    r"""Backslashes that escape nothing (``\x41``) as what they look like, ``\'`` as a quote."""
    return _ESCAPE.sub(
        lambda escape: escape.group() if escape.group(1) else escape.group(2) or r"\\", text
    )


def _integer(digits: str) -> int | float:
    """A whole number; beyond 64 bits a float, as the strict reader makes of it."""
    if len(digits) > _MOST_DIGITS or not -(2**63) <= (number := int(digits)) < 2**64:
        return float(digits)
    return number


_DECODER = json.JSONDecoder(strict=False, parse_int=_integer)


def _writable(value: object) -> object:
    """The value with every text in it writable; without recursion, however deep it is."""
    if isinstance(value, str):
        return writable(value)
    left: list[Any] = [value]
    while left:
        container = left.pop()
        if isinstance(container, dict):
            for key in [key for key in container if _SURROGATE.search(key)]:
                container[writable(key)] = container.pop(key)
            items: Any = container.items()
        elif isinstance(container, list):
            items = enumerate(container)
        else:
            continue
        put: Callable[[Any, Any], None] = container.__setitem__
        for key, item in items:
            if isinstance(item, str):
                if _SURROGATE.search(item):
                    put(key, writable(item))
            elif isinstance(item, dict | list):
                left.append(item)
    return value
