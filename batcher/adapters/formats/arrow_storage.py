"""The Arrow types that a Parquet file is written with.

They are those of the data, but for views within other types: pyarrow reads them from a file, and
writes no more than a few rows of them ("Slicing not implemented for BinaryView").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa


def writable(kind: Any) -> Any:
    """The type, with plain texts and bytes in place of views that are within it."""
    return kind if _is_view(kind) else without_views(kind)


def holds_view(kind: Any) -> bool:
    """Whether it is a view, or one is within it."""
    if _is_view(kind):
        return True
    return any(holds_view(kind.field(index).type) for index in range(kind.num_fields))


def is_list_view(kind: Any) -> bool:
    """Whether it is a list whose items lie anywhere; pyarrow casts such lists wrongly."""
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _is_view(kind: Any) -> bool:
    return kind in (pa.string_view(), pa.binary_view())


def without_views(kind: Any) -> Any:
    """The type, with plain texts and bytes in place of all views that it is or holds."""
    types = pa.types
    if _is_view(kind):
        return pa.string() if kind == pa.string_view() else pa.binary()
    if not holds_view(kind):
        return kind
    if types.is_struct(kind):
        return pa.struct([_field(field) for field in kind])
    if types.is_map(kind):
        return pa.map_(_field(kind.key_field), _field(kind.item_field), kind.keys_sorted)
    if types.is_fixed_size_list(kind):
        return pa.list_(_field(kind.value_field), kind.list_size)
    for is_of_kind, make in _LISTS:
        if is_of_kind(kind):
            return make(_field(kind.value_field))
    return kind


def _field(field: Any) -> Any:
    return field.with_type(without_views(field.type))


_LISTS: Final[tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...]] = (
    (pa.types.is_list, pa.list_),
    (pa.types.is_large_list, pa.large_list),
)
