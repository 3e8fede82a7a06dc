"""The types of Parquet columns: those of an Arrow input, or as their values turn out to be.

A column whose values are seen only as they come begins as what the first of them are and widens
when later ones do not fit: whole numbers become floats where that is exact, and everything else
that is mixed becomes text, as in a CSV cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

import pyarrow as pa

from batcher.adapters.destinations.writers.layout import cell_text

_EXACT_IN_FLOAT: Final = 1 << 53
_INT64: Final = 1 << 63


class ColumnType(Enum):
    """What a column holds. ``INT`` is exact as a float too, ``BIG_INT`` only as 64 bits."""

    NOTHING = "nothing"
    BOOL = "bool"
    INT = "int"
    BIG_INT = "big int"
    FLOAT = "float"
    TEXT = "text"

    @property
    def arrow(self) -> Any:
        """The Arrow type; a column without any value is text."""
        return _ARROW[self]

    def __or__(self, other: ColumnType) -> ColumnType:
        """The narrowest type that holds both."""
        if self is other or other is ColumnType.NOTHING:
            return self
        return _WIDER.get(frozenset({self, other}), ColumnType.TEXT)


@dataclass(slots=True)
class KeptType:
    """The type of an Arrow input's column.

    A dictionary whose index is of few bits may have few words in each part of a file and too many
    in all of it: then the index gets 32 bits, for readers take a column's parts together.
    """

    arrow: Any
    _words: set[Any] = field(default_factory=set, repr=False)

    def see(self, column: Any) -> None:
        """Look at some more of the column, a ``pyarrow.ChunkedArray``."""
        kind = self.arrow
        if not pa.types.is_dictionary(kind) or kind.index_type.bit_width >= _WIDE_INDEX:
            return
        for chunk in column.chunks:
            self._words.update(chunk.dictionary.to_pylist())
        unsigned = pa.types.is_unsigned_integer(kind.index_type)
        if len(self._words) > 1 << (kind.index_type.bit_width - (not unsigned)):
            self.arrow = pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
            self._words.clear()


_WIDE_INDEX: Final = 32

_ARROW: Final = {
    ColumnType.NOTHING: pa.string(),
    ColumnType.BOOL: pa.bool_(),
    ColumnType.INT: pa.int64(),
    ColumnType.BIG_INT: pa.int64(),
    ColumnType.FLOAT: pa.float64(),
    ColumnType.TEXT: pa.string(),
}

_WIDER: Final = {
    frozenset({ColumnType.INT, ColumnType.BIG_INT}): ColumnType.BIG_INT,
    frozenset({ColumnType.INT, ColumnType.FLOAT}): ColumnType.FLOAT,
    **{
        frozenset({ColumnType.NOTHING, kind}): kind
        for kind in ColumnType
        if kind is not ColumnType.NOTHING
    },
}


def type_of(values: Sequence[Any]) -> ColumnType:
    """The narrowest type that holds all values."""
    found = ColumnType.NOTHING
    for kind in set(map(type, values)) - {type(None)}:
        found |= _type_of_ints(values) if kind is int else _SIMPLE.get(kind, ColumnType.TEXT)
    return found


_SIMPLE: Final[dict[type, ColumnType]] = {bool: ColumnType.BOOL, float: ColumnType.FLOAT}


def _type_of_ints(values: Sequence[Any]) -> ColumnType:
    ints = [value for value in values if type(value) is int]
    low, high = min(ints), max(ints)
    if low >= -_EXACT_IN_FLOAT and high <= _EXACT_IN_FLOAT:
        return ColumnType.INT
    return ColumnType.BIG_INT if low >= -_INT64 and high < _INT64 else ColumnType.TEXT


def to_arrow(values: Sequence[Any], kind: ColumnType) -> Any:
    """The values as an Arrow array of that type, which must be wide enough; None is null."""
    if kind is ColumnType.TEXT and set(map(type, values)) - {str, type(None)}:
        values = [None if value is None else cell_text(value) for value in values]
    return pa.array(values, kind.arrow)


def widen(array: Any, kind: ColumnType | KeptType) -> Any:
    """An array, or a chunked one, of a narrower type as one of ``kind``."""
    if array.type == kind.arrow:
        return array
    if isinstance(kind, KeptType):
        if pa.types.is_dictionary(array.type):
            array = array.cast(array.type.value_type)
        return array.cast(kind.arrow)
    if array.null_count == len(array):
        return pa.nulls(len(array), kind.arrow)
    if kind is ColumnType.TEXT:
        return to_arrow(array.to_pylist(), kind)
    return array.cast(kind.arrow)
