"""What a template may make of one row: bytes and steps, counted in one number.

Counted before anything is made, so that no single operation of C, which nothing can interrupt,
takes long or much memory. The count knows no clock: a row fails or not wherever it is rendered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from sys import getsizeof
from typing import Any, Final, NoReturn

from batcher.core.errors import RowOverBudget

MOST_BYTES: Final = 64 << 20
"""What a template may make of a row in all, what it throws away included."""
MOST_CHARACTERS: Final = 16 << 20
"""The longest text that a template may make, and the most that it may print or compare at once."""
STEP_BYTES: Final = 64
"""A step (one turn of a loop, one call, one filter) counts as so many bytes: a million of them."""
CALL_BYTES: Final = 512
"""The same of a call."""
_READ_SHIFT: Final = 4
"""What is only read takes a sixteenth of what is made: a search, a count, a comparison."""
_SHORT: Final = 1 << 10
_ELEMENT_BYTES: Final = 32
MOST_BITS: Final = 1 << 17
"""The longest number that is reckoned with."""
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_TEXTS: Final = frozenset({str})
_WHOLE: Final = frozenset({int, bool})
_SEQUENCES: Final = (list, tuple, set, frozenset, deque, KeysView, ValuesView)


class Meter:
    """How much a template may still make of the row that it is rendered for."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MOST_BYTES

    def begin(self) -> None:
        """Another row."""
        self.left = MOST_BYTES

    def step(self) -> None:
        """One turn, call or filter."""
        self.left -= STEP_BYTES
        if self.left < 0:
            _too_much()

    def charge(self, size_bytes: int) -> None:
        """Count what is about to be made."""
        self.left -= size_bytes
        if self.left < 0:
            _too_much()

    def read(self, text: str | bytes) -> None:
        """Count a text that is gone through, whatever becomes of it."""
        if len(text) > _SHORT:
            self.charge(len(text) >> _READ_SHIFT)

    def made(self, value: Any) -> Any:
        """Count a value that was made, without what it holds; returns it."""
        if type(value) in _SCALARS:
            if type(value) is str and len(value) > STEP_BYTES:
                self.charge(getsizeof(value))
        elif isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
            self.charge(getsizeof(value))
        return value

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values, each of them a step."""
        for value in values:
            self.left -= STEP_BYTES
            if self.left < 0:
                _too_much()
            yield value

    def measure(self, value: Any) -> int:
        """How many bytes a value is with all that it holds, at every place where it holds it.

        Raises:
            RowOverBudget: it is more than can be printed or compared.
        """
        kind = type(value)
        if kind is str:
            self.read(value)
            return len(value)
        if kind in _SCALARS:
            return _number_bytes(value)
        size, elements, waiting = 0, 0, [value]
        while waiting:
            item = waiting.pop()
            if isinstance(item, str | bytes | bytearray):
                size += len(item)
            elif isinstance(item, dict | ItemsView):
                elements += 2 * len(item)
                for pair in item.items() if isinstance(item, dict) else item:
                    waiting += pair
            elif isinstance(item, range):  # what is no number is sought in it one by one
                elements += len(item)
            elif isinstance(item, _SEQUENCES):
                elements += len(item)
                kinds = set(map(type, item))
                if kinds <= _TEXTS:
                    size += sum(map(len, item))
                elif kinds <= _WHOLE:
                    size += sum(map(int.bit_length, item)) // 3
                else:
                    waiting += item
            else:
                size += _number_bytes(item)
            if size + _ELEMENT_BYTES * elements > MOST_CHARACTERS:
                too_large()
        self.charge(_ELEMENT_BYTES * elements + (size >> _READ_SHIFT))
        return size + 4 * elements


def _number_bytes(value: Any) -> int:
    """What a number takes as text; about what others do, whose text is short."""
    return value.bit_length() // 3 if isinstance(value, int) else 24


def check_bits(*numbers: Any) -> None:
    """Refuse arithmetic whose time grows with the square of such numbers' lengths."""
    if sum(number.bit_length() for number in numbers) > MOST_BITS:
        too_large()


def _too_much() -> NoReturn:
    raise RowOverBudget(
        f"the template does too much for this row: at most {MOST_BYTES // STEP_BYTES:,} steps, or "
        f"{MOST_BYTES >> 20} MB of texts and lists in all",
    )


def too_large() -> NoReturn:
    """Raise what a value means that is too large to be made, printed or compared."""
    raise RowOverBudget(
        f"the template makes something too large of this row: at most {MOST_CHARACTERS:,} "
        "characters, and numbers of some 40,000 digits",
    )
