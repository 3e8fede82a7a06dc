"""One line of JSONL that orjson refuses or would round: its exact value, or what is wrong with it.

JSON allows more than most readers hold: integers and exponents of any size, nesting of any depth,
halves of surrogate pairs. What has a value gets it here; what has none is said with its key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from batcher.adapters.sources.faults import Fault
from batcher.core.text.exactjson import MAX_DEPTH, loads

_BOM: Final = "\ufeff"
_BEFORE_NUMBERS: Final = b":[,- \t\r\n"
_LONG_NUMBER: Final = b":" + b"0" * 19
"""As many digits as an integer has at least that a float is made of, after :data:`_MARKS`."""
_MARKS: Final = bytes(
    ord("0") if byte in b"0123456789" else ord(":") if byte in _BEFORE_NUMBERS else byte
    for byte in range(256)
)
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SHOWN_PATH_CHARS: Final = 80


class ImpossibleLine(Exception):
    """The line holds no value; ``fault`` says why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def may_be_rounded(lines: Sequence[bytes]) -> Iterator[int]:
    """The lines, by index, that orjson may have read otherwise than :func:`read_exactly` would.

    A quick look at their bytes: some of them have their long digits in a string.
    """
    long_numbers = _LONG_NUMBER in b"\n".join(lines).translate(_MARKS)
    for index, line in enumerate(lines):
        if (long_numbers and _LONG_NUMBER in line.translate(_MARKS)) or (
            len(line) > 2 * MAX_DEPTH and line.count(b"[") + line.count(b"{") > MAX_DEPTH
        ):
            yield index


def read_exactly(line: bytes) -> Any:
    """The value of a line.

    Raises:
        ImpossibleLine: it has none.
    """
    try:
        text = line.decode().removeprefix(_BOM)
    except UnicodeDecodeError:
        raise ImpossibleLine(Fault("invalid_utf8", "the line is not UTF-8")) from None
    if _depth(text) > MAX_DEPTH:
        raise ImpossibleLine(
            Fault("nested_too_deep", f"the line is nested more than {MAX_DEPTH} levels deep")
        )
    try:
        value = loads(text, constant=_Constant)
    except json.JSONDecodeError as exc:
        fault = Fault("not_json", f"the line is not JSON (character {exc.pos + 1})")
        raise ImpossibleLine(fault) from None
    except ValueError as exc:
        raise ImpossibleLine(Fault("number_too_large", f"the line has {exc}")) from None
    if isinstance(value, _Constant) or "NaN" in text or "Infinity" in text:
        _refuse_constants(value)
    if "\\u" in text:
        _refuse_surrogates(value)
    return value


class _Constant:
    """``NaN``, ``Infinity`` or ``-Infinity``, which are no JSON."""

    def __init__(self, name: str) -> None:
        self.name = name


def _depth(text: str) -> int:
    """How deep the line's brackets are nested; what stands in strings does not count."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for mark in _STRING.sub("", text):
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _refuse_constants(value: Any) -> None:
    for path, leaf in _leaves(value):
        if isinstance(leaf, _Constant):
            raise ImpossibleLine(
                Fault(
                    "not_json",
                    f"{_named(path)} is {leaf.name}, which JSON cannot represent (write null or a "
                    "text)",
                )
            )


def _refuse_surrogates(value: Any) -> None:
    for path, leaf in _leaves(value):
        if isinstance(leaf, str) and (found := _SURROGATE.search(leaf)):
            half = f"\\u{ord(found[0]):04x}"
            raise ImpossibleLine(
                Fault("not_unicode", f"{_named(path)} has {half}, half of a surrogate pair")
            )


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything within that is no list and no object, keys among it, and where each stands."""
    waiting = [("", value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            yield from ((path, key) for key in value)
            waiting += [(f"{path}.{key}" if path else key, value[key]) for key in value][::-1]
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", item) for index, item in enumerate(value)][::-1]
        else:
            yield path, value


def _named(path: str) -> str:
    """The key as a message has it."""
    if not path:
        return "the line"
    shown = path.encode(errors="backslashreplace").decode()
    if len(shown) > _SHOWN_PATH_CHARS:
        shown = f"{shown[:_SHOWN_PATH_CHARS]}…"
    return repr(shown)
