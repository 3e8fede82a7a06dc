"""JSON of any value, exactly: integers and exponents of any size, and every text that Python holds.

Fast readers keep integers of 64 bits and make floats of longer ones; what they cannot read or write
comes here. A number that neither ``int`` nor ``float`` can hold is a ``Decimal``, and a text that
begins with a blank (:func:`marked`) is one that has to be read by :func:`loads`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

MAX_DEPTH: Final = 500
"""How deep lists and objects may be nested. RFC 8259, 9: readers set limits to this."""

_MARK: Final = " "
_INT_DIGITS: Final = 4300
"""More of them, and Python makes no text of an ``int``, to be safe from what that costs."""
_INT_BITS: Final = 14_000
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_MAX_EXPONENT: Final = 100_000
_LARGEST: Final = Decimal("1.7976931348623157e308")
_TOO_LARGE: Final = "a number whose exponent is out of all bounds"
_CONSTANTS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def loads(text: str | bytes, *, constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON text; ``constant`` makes one of ``NaN`` and the like.

    Raises:
        ValueError: it is no JSON, or a number's exponent is beyond all bounds; a
            ``json.JSONDecodeError`` where it can say the place.
        RecursionError: it is nested far beyond ``MAX_DEPTH``.
    """
    return json.loads(
        text,
        parse_int=_read_int,
        parse_float=_read_float,
        parse_constant=constant or _CONSTANTS.__getitem__,
    )


def dumps(value: Any) -> str:
    """Compact JSON of a value; ``NaN`` and infinities, which JSON lacks, by these names.

    Raises:
        TypeError: it holds something that is no plain value.
    """
    try:
        text = _ENCODER.encode(value)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return "".join(_written(value))
    return text


def marked(value: Any) -> str:
    """:func:`dumps`, such that :func:`is_marked` knows it."""
    return _MARK + dumps(value)


def is_marked(text: str | bytes) -> bool:
    """Whether only :func:`loads` reads the text as it was."""
    return text[:1] in (_MARK, _MARK.encode())


def number_text(value: int | float | Decimal) -> str:
    """A number as JSON writes it, whatever its size."""
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, int) and value.bit_length() > _INT_BITS:
        value = Decimal(value)
    return str(value).replace("E", "e")


def holds_nan(value: Any) -> bool:
    """Whether there is a float within that JSON has no word for."""
    return any(isinstance(leaf, float) and not math.isfinite(leaf) for leaf in _leaves(value))


def holds_too_much(value: Any) -> bool:
    """Whether there is a number within that readers take for infinity.

    Those with a point or an exponent are floats of 64 bits to them; a whole number has no bound.
    """
    numbers = (leaf for leaf in _leaves(value) if isinstance(leaf, Decimal))
    return any(number.as_tuple().exponent != 0 and abs(number) > _LARGEST for number in numbers)


def plain(value: Any) -> Any:
    """The value as JSON holds it: mappings as dicts, sequences as lists.

    Raises:
        ValueError: it holds something that JSON cannot, and says what.
    """
    if value is None or isinstance(value, str | bool | Decimal):
        return value
    if isinstance(value, int):
        return Decimal(value) if value.bit_length() > _INT_BITS else int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{_float_text(value)}, which JSON has no number for")
        return float(value)
    if isinstance(value, Mapping):
        if strange := next((key for key in value if not isinstance(key, str)), None):
            raise ValueError(f"a key of type {type(strange).__name__}, which JSON has no word for")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    raise ValueError(f"a {type(value).__name__}, which JSON has no word for: write it as text")


def _read_int(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _INT_DIGITS else Decimal(digits)


def _read_float(text: str) -> float | Decimal:
    value = float(text)
    if math.isfinite(value):
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(_TOO_LARGE) from None
    if exact.adjusted() > _MAX_EXPONENT:
        raise ValueError(_TOO_LARGE)
    return exact


def _float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        else:
            yield value


def _written(value: Any) -> Iterator[str]:
    """The text in parts, without recursion: a value may be nested deeper than Python's stack."""
    ends: list[str] = []
    items: list[Iterator[tuple[str, Any]]] = [iter([("", value)])]
    while items:
        before, value = next(items[-1], (None, None))
        if before is None:
            items.pop()
            if ends:
                yield ends.pop()
            continue
        yield before
        if isinstance(value, Mapping):
            yield "{"
            ends.append("}")
            items.append(_members(value))
        elif isinstance(value, list | tuple):
            yield "["
            ends.append("]")
            items.append(_separated(value))
        elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            yield number_text(value)
        else:
            yield _scalar(value)


def _members(value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    comma = ""
    for key, item in value.items():
        yield f"{comma}{_scalar(str(key))}:", item
        comma = ","


def _separated(value: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    comma = ""
    for item in value:
        yield comma, item
        comma = ","


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)  # half of a surrogate pair has a form in escapes alone
    return text
