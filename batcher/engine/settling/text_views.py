"""JSON whose long texts are not copied: vectors as base64 are most of an answer's bytes.

A text that JSON writes as it is, without an escape, is its bytes in the body. So the body is read
without these texts, which are views of it; where one cannot be a view, nothing is.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

LEAST_BYTES = 2**14
"""What is shorter is read as it is."""
_FIRST = -(2**62)
"""The number that stands for the first text, and so on: no answer counts there."""
_VALUE = re.compile(rb'[ \t\r\n]*:[ \t\r\n]*"')


def loads(body: bytes, member: str) -> Any:
    """What ``orjson.loads`` reads, but the texts of all members of that name as views of the body.

    A view holds the text's bytes as they were sent: whether they are UTF-8 at all is not looked at.

    Args:
        body: a JSON document.
        member: the members' name, in plain ASCII.

    Raises:
        orjson.JSONDecodeError: it is none, without these texts or with them.
    """
    if len(body) >= LEAST_BYTES:
        rest, texts = _taken_apart(body, b'"%s"' % member.encode())
        if texts:
            document = orjson.loads(rest)
            if _put_back(document, member, texts):
                return document
    return orjson.loads(body)


def _taken_apart(body: bytes, name: bytes) -> tuple[bytes, list[memoryview]]:
    """The body with a number in place of each text, and the texts; none where one is no view."""
    view = memoryview(body)
    rest: list[bytes | memoryview] = []
    texts: list[memoryview] = []
    at = 0
    while (found := body.find(name, at)) >= 0:
        after = found + len(name)
        value = _VALUE.match(body, after)
        if value is None:
            rest.append(view[at:after])
            at = after
            continue
        begin = value.end()
        end = body.find(b'"', begin)
        if end < 0 or body.find(b"\\", begin, end) >= 0:
            return body, []
        rest.append(view[at : begin - 1])
        rest.append(b"%d" % (_FIRST + len(texts)))
        texts.append(view[begin:end])
        at = end + 1
    rest.append(view[at:])
    return b"".join(rest), texts


def _put_back(document: Any, member: str, texts: list[memoryview]) -> bool:
    """Put each text in place of its number; False where one of these is not there."""
    found = 0
    left = [document]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            number = value.get(member)
            if type(number) is int and 0 <= number - _FIRST < len(texts):
                if number - _FIRST != found:
                    return False
                value[member] = texts[found]
                found += 1
            left += [one for one in reversed(value.values()) if isinstance(one, dict | list)]
        elif isinstance(value, list):
            left += [one for one in reversed(value) if isinstance(one, dict | list)]
    return found == len(texts)
