"""Parquet: pyarrow's batches, also as plain values (:mod:`arrow_values`).

Memory is that of some pages, not of a row group.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batcher.adapters.formats.arrow_storage import holds_view, is_list_view
from batcher.adapters.formats.arrow_values import plain_column
from batcher.adapters.sources.batch import BATCH_ROWS, Request, require
from batcher.adapters.sources.faults import Fault
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.core.errors import InputError

_BUFFER_BYTES = 1 << 20


class ParquetBatch:
    """Rows as one Arrow batch."""

    def __init__(self, *, first: int, arrow: Any) -> None:
        """``arrow`` is a ``pyarrow.RecordBatch``."""
        self.first = first
        self.arrow = arrow
        self.faults = _faults_of(arrow)

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def values(self, column: str) -> list[Any]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        return self._plain(self.arrow.column(column))

    def records(self) -> list[dict[str, Any]]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        names = self.arrow.schema.names
        columns = map(self._plain, self.arrow.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def lines(self) -> list[int]:
        """A Parquet file has no lines: the row's place from 1 stands for it."""
        return list(range(self.first + 1, self.first + 1 + len(self)))

    def _plain(self, column: Any) -> list[Any]:
        """The values; None in rows with a fault, which may have none."""
        if not self.faults:
            return plain_column(column)
        return [
            None if index in self.faults else plain_column(column.slice(index, 1))[0]
            for index in range(len(self))
        ]


class ParquetReader:
    """One pass over a Parquet file."""

    def __init__(self, raw: RawPass, open_raw: OpenRaw, request: Request) -> None:
        """The raw pass only hashes; pyarrow reads the file where it needs to."""
        self.columns: tuple[str, ...] = ()
        self.arrow_schema: str | None = None
        self._raw = raw
        self._open_raw = open_raw
        self._request = request

    def batches(self) -> Iterator[ParquetBatch]:
        """See :class:`batcher.adapters.sources.batch.Reader`."""
        self._raw.drain()
        if self._raw.size_bytes == 0:
            raise self._error("the file is empty")
        try:
            with closing(self._open_raw()) as file:
                yield from self._read(file)
        except (pa.ArrowException, OSError) as exc:
            raise self._error(_what_is_wrong(str(exc))) from exc

    def _read(self, file: Any) -> Iterator[ParquetBatch]:
        with pq.ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet:
            schema = parquet.schema_arrow.remove_metadata()
            self.columns = self._names(schema)
            for field in schema:
                self._check_type(field.name, field.type)
            self.arrow_schema = base64.b64encode(schema.serialize()).decode()
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
        try:
            names = tuple(schema.names)
        except UnicodeDecodeError as exc:
            raise self._error("a column's name is not UTF-8: rename it") from exc
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise self._error(f"column {twice!r} is there twice: rename one of them")
        require(self._request, names)
        return names

    def _check_type(self, column: str, kind: Any) -> None:
        """Refuse what has no form: two fields of one name in a struct, list views of views."""
        fields = [kind.field(i) for i in range(kind.num_fields)]
        if pa.types.is_struct(kind):
            names = [field.name for field in fields]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise self._error(
                    f"column {column!r} is a struct with two fields {twice!r}: rename one of them"
                )
        if is_list_view(kind) and holds_view(kind):
            raise self._error(
                f"column {column!r} is of type {kind}, which cannot be written again: make lists "
                "of its list views"
            )
        for field in fields:
            self._check_type(column, field.type)

    def _error(self, message: str) -> InputError:
        return InputError(message, source=self._request.source)


def _what_is_wrong(said: str) -> str:
    """What pyarrow's complaint means; its words may quote the file."""
    return next(
        (meaning for words, meaning in _MEANINGS.items() if words in said),
        "the file is not Parquet, or is damaged: make or download it again",
    )


_MEANINGS = {
    "crypt": "the file is encrypted: write it without encryption",
    "too deeply nested": "a column is nested deeper than can be read: write it as a text of JSON",
}


def _faults_of(arrow: Any) -> dict[int, Fault]:
    """The rows that hold what their columns' types do not allow, such as text that is no UTF-8."""
    try:
        arrow.validate(full=True)
    except pa.ArrowInvalid:
        pass
    else:
        return {}
    faults: dict[int, Fault] = {}
    for name, column in zip(arrow.schema.names, arrow.columns, strict=True):
        values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for index in range(len(values)):
            try:
                values.slice(index, 1).validate(full=True)
            except pa.ArrowInvalid:
                faults.setdefault(
                    index, Fault("bad_value", f"column {name!r} holds {_what(values.type)}")
                )
    return faults


def _what(kind: Any) -> str:
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    if any(is_text(kind) for is_text in texts):
        return "a text that is not UTF-8"
    return "what its type does not allow"
