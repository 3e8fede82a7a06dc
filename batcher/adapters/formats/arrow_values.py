"""Arrow columns as plain values: what prompts, CSV cells and ids are made of.

Every type and every value has a form, in whole numbers rather than by way of ``datetime``, which
knows neither nanoseconds nor years beyond 9999. Dates and times become ISO 8601 text, decimals and
durations text, bytes base64; maps are lists of pairs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from batcher.adapters.formats.arrow_times import (
    date_text,
    duration_text,
    interval_text,
    time_text,
    timestamp_texts,
)

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_MILLISECONDS: Final = 86_400_000


def plain_column(column: Any) -> list[Any]:
    """The values of an array or a chunked array, in plain Python; None for null."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in plain_column(chunk)]
    kind = column.type
    for is_of_kind, convert in _CONVERSIONS:
        if is_of_kind(kind):
            return convert(column)
    values: list[Any] = column.to_pylist()
    return values


def _extension(array: Any) -> list[Any]:
    name = array.type.extension_name
    values = plain_column(array.storage)
    if name == "arrow.bool8":
        return _each(bool, values)
    if name == "arrow.uuid":
        return _each(lambda raw: str(UUID(bytes=raw)), array.storage.to_pylist())
    return values


def _timestamps(array: Any) -> list[Any]:
    values = array.view(pa.int64()).to_pylist()
    return timestamp_texts(values, _PER_SECOND[array.type.unit], array.type.tz)


def _dates(array: Any) -> list[Any]:
    if pa.types.is_date64(array.type):
        days = _each(lambda ms: ms // _DAY_MILLISECONDS, array.view(pa.int64()).to_pylist())
    else:
        days = array.view(pa.int32()).to_pylist()
    return _each(date_text, days)


def _times(array: Any) -> list[Any]:
    per_second = _PER_SECOND[array.type.unit]
    raw = array.view(pa.int32() if pa.types.is_time32(array.type) else pa.int64()).to_pylist()
    return _each(lambda value: time_text(value, per_second), raw)


def _durations(array: Any) -> list[Any]:
    per_second = _PER_SECOND[array.type.unit]
    raw = array.view(pa.int64()).to_pylist()
    return _each(lambda value: duration_text(value, per_second), raw)


def _intervals(array: Any) -> list[Any]:
    return _each(lambda value: interval_text(*value), array.to_pylist())


def _decimals(array: Any) -> list[Any]:
    return _each(str, array.to_pylist())


def _bytes(array: Any) -> list[Any]:
    return _each(lambda raw: base64.b64encode(raw).decode(), array.to_pylist())


def _dictionary(array: Any) -> list[Any]:
    words = plain_column(array.dictionary)
    return [None if index is None else words[index] for index in array.indices.to_pylist()]


def _runs(array: Any) -> list[Any]:
    return plain_column(pc.run_end_decode(array))


def _lists(array: Any) -> list[Any]:
    kind = array.type
    if pa.types.is_fixed_size_list(kind):
        ends = [(kind.list_size * i, kind.list_size) for i in range(len(array))]
        items = plain_column(array.values.slice(array.offset * kind.list_size))
        spans: Iterable[tuple[int, int]] = ends
    elif pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        items = plain_column(array.values)
        spans = zip(array.offsets.to_pylist(), array.sizes.to_pylist(), strict=True)
    else:
        offsets = array.offsets.to_pylist()
        first = offsets[0] if offsets else 0
        items = plain_column(array.values.slice(first, (offsets[-1] if offsets else 0) - first))
        spans = [(a - first, b - a) for a, b in pairwise(offsets)]
    there = array.is_valid().to_pylist()
    return [
        items[start : start + size] if valid else None
        for (start, size), valid in zip(spans, there, strict=True)
    ]


def _maps(array: Any) -> list[Any]:
    offsets = array.offsets.to_pylist()
    keys, items = plain_column(array.keys), plain_column(array.items)
    pairs = [[key, item] for key, item in zip(keys, items, strict=True)]
    there = array.is_valid().to_pylist()
    return [
        pairs[start:end] if valid else None
        for (start, end), valid in zip(pairwise(offsets), there, strict=True)
    ]


def _structs(array: Any) -> list[Any]:
    kind = array.type
    names = [kind.field(i).name for i in range(kind.num_fields)]
    columns = [plain_column(child) for child in array.flatten()]
    rows = zip(*columns, strict=True) if columns else iter([()] * len(array))
    there = array.is_valid().to_pylist()
    return [
        dict(zip(names, row, strict=True)) if valid else None
        for row, valid in zip(rows, there, strict=True)
    ]


def _unions(array: Any) -> list[Any]:
    kind = array.type
    size, offset = len(array), array.offset  # which pyarrow's own accessors forget
    _, codes_buffer, *more = array.buffers()
    codes = pa.Array.from_buffers(pa.int8(), size, [None, codes_buffer], offset=offset).to_pylist()
    by_code = {code: index for index, code in enumerate(kind.type_codes)}
    children = [plain_column(array.field(i)) for i in range(kind.num_fields)]
    places = range(size)
    if kind.mode == "dense":
        places = pa.Array.from_buffers(pa.int32(), size, [None, more[0]], offset=offset).to_pylist()
    return [children[by_code[code]][place] for code, place in zip(codes, places, strict=True)]


def _each(convert: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _is_bytes(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _is_list(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


_CONVERSIONS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], list[Any]]], ...]] = (
    (lambda kind: isinstance(kind, pa.BaseExtensionType), _extension),
    (pa.types.is_timestamp, _timestamps),
    (pa.types.is_date, _dates),
    (pa.types.is_time, _times),
    (pa.types.is_duration, _durations),
    (lambda kind: kind == pa.month_day_nano_interval(), _intervals),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_dictionary, _dictionary),
    (pa.types.is_run_end_encoded, _runs),
    (pa.types.is_map, _maps),
    (_is_list, _lists),
    (pa.types.is_struct, _structs),
    (pa.types.is_union, _unions),
    (_is_bytes, _bytes),
)
