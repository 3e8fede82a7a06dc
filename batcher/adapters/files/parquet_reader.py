"""Parquet: pyarrow's batches, as plain JSON-like values.

Dates and times become ISO 8601 text, decimals and durations text, bytes base64. Memory is that of
some pages, not of a row group.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

from batcher.adapters.files.batch import BATCH_ROWS, Request, require
from batcher.adapters.files.faults import Fault
from batcher.adapters.files.raw import OpenRaw, RawPass
from batcher.core.errors import InputError

_BUFFER_BYTES = 1 << 20


class ParquetBatch:
    """Rows as one Arrow batch."""

    def __init__(self, *, first: int, arrow: Any) -> None:
        """``arrow`` is a ``pyarrow.RecordBatch``."""
        self.first = first
        self.faults: dict[int, Fault] = {}
        self._arrow = arrow

    def __len__(self) -> int:
        return int(self._arrow.num_rows)

    def values(self, column: str) -> list[Any]:
        """See :class:`batcher.adapters.files.batch.Batch`."""
        return _plain_column(self._arrow.column(column))

    def records(self) -> list[dict[str, Any]]:
        """See :class:`batcher.adapters.files.batch.Batch`."""
        names = self._arrow.schema.names
        columns = map(_plain_column, self._arrow.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def lines(self) -> list[int]:
        """A Parquet file has no lines: the row's place from 1 stands for it."""
        return list(range(self.first + 1, self.first + 1 + len(self)))


class ParquetReader:
    """One pass over a Parquet file."""

    def __init__(self, raw: RawPass, open_raw: OpenRaw, request: Request) -> None:
        """The raw pass only hashes; pyarrow reads the file where it needs to."""
        self.columns: tuple[str, ...] = ()
        self._raw = raw
        self._open_raw = open_raw
        self._request = request

    def batches(self) -> Iterator[ParquetBatch]:
        """See :class:`batcher.adapters.files.batch.Reader`."""
        self._raw.drain()
        if self._raw.size_bytes == 0:
            raise self._error("the file is empty")
        try:
            with closing(self._open_raw()) as file:
                yield from self._read(file)
        except (pa.ArrowException, OSError) as exc:
            raise self._error(
                "the file is no Parquet, or is damaged: make or download it again"
            ) from exc

    def _read(self, file: Any) -> Iterator[ParquetBatch]:
        with pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet:
            self.columns = self._names(parquet.schema_arrow)
            groups, number = self._groups(parquet.metadata)
            for arrow in parquet.iter_batches(BATCH_ROWS, row_groups=groups, use_threads=False):
                batch = ParquetBatch(first=number, arrow=arrow)
                number += len(batch)
                if len(batch) and number > self._request.start:
                    yield batch

    def _groups(self, metadata: Any) -> tuple[list[int], int]:
        """The row groups from the start asked for, and the number of their first row."""
        first = 0
        for index in range(metadata.num_row_groups):
            rows = int(metadata.row_group(index).num_rows)
            if first + rows > self._request.start:
                return list(range(index, metadata.num_row_groups)), first
            first += rows
        return [], first

    def _names(self, schema: Any) -> tuple[str, ...]:
        names = tuple(schema.names)
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._error(f"column {twice!r} is there twice: rename one of them")
        require(self._request, names)
        return names

    def _error(self, message: str) -> InputError:
        return InputError(message, source=self._request.source)


def _plain_column(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values if _is_plain(column.type) else [_plain(value) for value in values]


def _is_plain(kind: Any) -> bool:
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
    )


def _plain(value: Any) -> Any:
    match value:
        case None | str() | bool() | int() | float():
            return value
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal() | timedelta() | UUID():
            return str(value)
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return str(value)
