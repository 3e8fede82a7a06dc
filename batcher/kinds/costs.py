"""What filters and methods would make, reckoned before they are called.

Only those stand here that may make much more than they are given, or take more than a moment for
it. Each rule charges the meter, which raises where it is too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from decimal import Decimal
from sys import getsizeof
from typing import Any, Final

from batcher.kinds.metering import STEP_BYTES, Meter, too_large

Rule = Callable[..., None]

_SPEC = re.compile(
    r"%(?:\([^()]*\))?[#0\- +]*(?P<width>\*|[0-9]+)?(?:\.(?P<digits>\*|[0-9]*))?[hlL]?[a-zA-Z]"
)
_NUMBER = re.compile(r"[0-9]+")
_LONGEST_WORD = 4_096
_LONGEST_NUMBER = 40_000
_MOST_DIGITS = 400
_ENTRY_BYTES = 60
_WIDE_BYTES = 80


def percent(meter: Meter, template: str | bytes, arguments: Any) -> None:
    """``template % arguments``."""
    text = template if isinstance(template, str) else template.decode("latin-1")
    values = arguments if isinstance(arguments, tuple) else (arguments,)
    starred = max((abs(value) for value in values if isinstance(value, int)), default=0)
    size, conversions = len(text), 0
    for match in _SPEC.finditer(text):
        conversions += 1
        for group in match.group("width", "digits"):
            size += starred if group == "*" else _whole(group)
    for value in values:
        _check_exponent(value)
    measured = meter.measure(arguments)
    meter.charge(size + measured * (conversions if isinstance(arguments, Mapping) else 1))


def format_spec(meter: Meter, value: Any, spec: str) -> None:
    """``format(value, spec)``."""
    _check_exponent(value)
    meter.charge(meter.measure(value) + sum(_whole(number) for number in _NUMBER.findall(spec)))


def _whole(digits: str | None) -> int:
    if not digits:
        return 0
    return int(digits) if len(digits) < 16 else too_large()


def _check_exponent(value: Any) -> None:
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) > 10_000:
        too_large()


def _width(meter: Meter, text: Any, width: Any = 80, *rest: Any, **more: Any) -> None:
    _times(meter, width, 1)


def _times(meter: Meter, count: Any, size_bytes: int) -> None:
    if isinstance(count, int) and count > 0:
        meter.charge(count * size_bytes)


def _replace(meter: Meter, text: Any, old: Any, new: Any, count: Any = None, *rest: Any) -> None:
    if not isinstance(text, str | bytes):
        text = str(text)
    if not isinstance(old, type(text)) or not isinstance(new, type(text)):
        old, new = str(old), str(new)
        text = str(text)
    found = text.count(old)
    if isinstance(count, int) and count >= 0:
        found = min(found, count)
    meter.charge(len(text) + found * max(0, len(new) - len(old)))


def _join(meter: Meter, values: Any, d: Any = "", *rest: Any, **more: Any) -> None:
    size = meter.measure(values)
    if isinstance(values, Sequence):
        meter.charge(size + len(values) * len(d if isinstance(d, str | bytes) else str(d)))


def _indent(meter: Meter, text: Any, width: Any = 4, *rest: Any, **more: Any) -> None:
    lines = text.count("\n") + 1 if isinstance(text, str) else 1
    _times(meter, len(width) if isinstance(width, str) else width, lines)


def _wordwrap(
    meter: Meter, text: Any, width: Any = 79, break_long_words: Any = True, wrapstring: Any = None,
    break_on_hyphens: Any = True,
) -> None:  # fmt: skip
    if isinstance(text, str):  # a word that is too long is cut down a line at a time
        meter.charge(max(map(len, text.split()), default=0) ** 2 // 64)
    if isinstance(text, str) and isinstance(wrapstring, str) and isinstance(width, int):
        breaks = 2 * len(text) // max(1, width) + text.count("\n") + 1
        meter.charge(breaks * len(wrapstring))


def _portions(meter: Meter, values: Any, count: Any = 0, *rest: Any, **more: Any) -> None:
    _listed(meter, values)
    _times(meter, more.get("linecount", more.get("slices", count)), 8)


def _listed(meter: Meter, values: Any = (), *rest: Any, **more: Any) -> None:
    """A list of a text's characters: those beyond Latin-1 are an object each."""
    if isinstance(values, str):
        meter.charge(len(values) * (8 if getsizeof(values) < 2 * len(values) else _WIDE_BYTES))


def _gone_through(meter: Meter, values: Any = (), *rest: Any, **more: Any) -> None:
    """Python looks at one after the other."""
    if isinstance(values, Sized):
        meter.charge(len(values) * STEP_BYTES)


def _round(meter: Meter, value: Any, precision: Any = 0, *rest: Any, **more: Any) -> None:
    if isinstance(precision, int) and abs(precision) > _MOST_DIGITS:
        too_large()


def _exact(meter: Meter, value: Any = 0, *rest: Any, **more: Any) -> None:
    """An integer of a text takes the square of its length."""
    _check_exponent(value)
    if isinstance(value, str | bytes) and len(value) > _LONGEST_NUMBER:
        too_large()


def _number(meter: Meter, value: Any = "", *rest: Any, **more: Any) -> None:
    """A text that is no number is written whole into an error that nobody sees."""
    if isinstance(value, str | bytes):
        meter.charge(4 * len(value))


def escaping(meter: Meter, text: Any = "", *rest: Any, **more: Any) -> None:
    """HTML of a text: five characters for one at the most."""
    size = meter.measure(text)
    if isinstance(text, str):
        size += 4 * sum(text.count(special) for special in "&<>'\"")
    meter.charge(size)


def _quoted(meter: Meter, text: Any, *rest: Any, **more: Any) -> None:
    """A URL's form of a text: three characters for each byte at the most."""
    ascii_only = isinstance(text, str) and text.isascii()
    meter.charge(meter.measure(text) * (3 if ascii_only else 12))


def _json(meter: Meter, value: Any, indent: Any = None) -> None:
    if isinstance(indent, int | str) and (indent if isinstance(indent, int) else len(indent)) > 64:
        too_large()


def _urlize(meter: Meter, text: Any, *options: Any, **more: Any) -> None:
    """Its expressions take the square of a word's length."""
    words = str(text).split()
    if any(len(word) > _LONGEST_WORD for word in words):
        too_large()
    repeated = sum(len(o) for o in (*options, *more.values()) if isinstance(o, str))
    meter.charge(len(words) * (repeated + _ENTRY_BYTES))


def _format(meter: Meter, template: Any, *arguments: Any, **named: Any) -> None:
    percent(meter, str(template), named or arguments)


def _expand_tabs(meter: Meter, text: Any, tabsize: Any = 8) -> None:
    _times(meter, tabsize, text.count("\t") if isinstance(text, str) else text.count(b"\t"))


def _split(meter: Meter, text: Any, separator: Any = None, *rest: Any, **more: Any) -> None:
    separator = more.get("sep", separator)
    if separator is None:
        separators: tuple[Any, ...] = (" ", "\n", "\t")
        if not isinstance(text, str):
            separators = (b" ", b"\n", b"\t")
    else:
        separators = (separator,)
    found = sum(text.count(each) for each in separators if each)
    meter.charge(len(text) + found * _ENTRY_BYTES)


def _lines(meter: Meter, text: Any, *rest: Any, **more: Any) -> None:
    breaks = ("\n", "\r") if isinstance(text, str) else (b"\n", b"\r")
    meter.charge(len(text) + sum(text.count(each) for each in breaks) * _ENTRY_BYTES)


def _translate(meter: Meter, text: Any, table: Any, *rest: Any, **more: Any) -> None:
    longest = 1
    if isinstance(table, Mapping):
        longest = max((len(v) for v in table.values() if isinstance(v, str)), default=1)
    meter.charge(len(text) * longest)


def _encode(meter: Meter, text: str, encoding: Any = "", errors: Any = None) -> None:
    """Handlers of errors may write a character by its name."""
    meter.charge(len(text) * (4 if errors is None else 90))


def _method_join(meter: Meter, separator: Any, values: Any) -> None:
    _join(meter, values, separator)


def _to_bytes(meter: Meter, number: int, length: Any = 1, *rest: Any, **more: Any) -> None:
    _times(meter, more.get("length", length), 1)


FILTERS: Final[Mapping[str, Rule]] = {
    "batch": _portions,
    "center": _width,
    "e": escaping,
    "escape": escaping,
    "float": _number,
    "forceescape": escaping,
    "format": _format,
    "indent": _indent,
    "int": _exact,
    "join": _join,
    "list": _listed,
    "max": _gone_through,
    "min": _gone_through,
    "replace": _replace,
    "reverse": _listed,
    "round": _round,
    "slice": _portions,
    "sort": _listed,
    "tojson": _json,
    "unique": _listed,
    "urlencode": _quoted,
    "urlize": _urlize,
    "wordwrap": _wordwrap,
    "xmlattr": _quoted,
}
"""By the filter's name; called with what the filter is."""

METHODS: Final[Mapping[str, Rule]] = {
    "center": _width,
    "encode": _encode,
    "expandtabs": _expand_tabs,
    "join": _method_join,
    "ljust": _width,
    "replace": _replace,
    "rjust": _width,
    "rsplit": _split,
    "split": _split,
    "splitlines": _lines,
    "to_bytes": _to_bytes,
    "translate": _translate,
    "zfill": _width,
}
"""By the method's name, of texts and numbers; called with the object and what the method is."""
