"""Parquet out: the input's columns and the result's, vectors as ``fixed_size_list<float32>``.

The columns of a Parquet input have their own types, others those that their values turn out to have
(:mod:`parquet_types`). Where a type proves too narrow after row groups have been written, those are
copied once with the wider one, a group at a time: memory stays bounded and nobody needs to know the
types beforehand.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from batcher.adapters.destinations.target import Target, writing
from batcher.adapters.destinations.writers.layout import (
    Layout,
    lay_out_for,
    leading_columns,
    plain_fields,
    record_columns,
    vector_field,
)
from batcher.adapters.destinations.writers.parquet_draft import Draft
from batcher.adapters.destinations.writers.parquet_types import (
    ColumnType,
    KeptType,
    to_arrow,
    type_of,
    widen,
)
from batcher.adapters.formats.arrow_storage import writable
from batcher.adapters.formats.json_text import json_bytes
from batcher.ports import OutputBatch, OutputSchema

GROUP_ROWS: Final = 10_000
GROUP_BYTES: Final = 24 << 20

_DECLARED: Final = {
    "text": ColumnType.TEXT,
    "json": ColumnType.TEXT,
    "int": ColumnType.BIG_INT,
    "float": ColumnType.FLOAT,
}

_COSTS: Final = (ColumnType.BIG_INT, ColumnType.BIG_INT, ColumnType.FLOAT, ColumnType.TEXT)


class ArrowColumns:
    """Records as the columns of an output, whose types widen as values come.

    Arrays handed to :meth:`add` are not copied.
    """

    def __init__(self, schema: OutputSchema) -> None:
        """Nothing yet."""
        self._schema = schema
        self._has_vectors = vector_field(schema) is not None
        self._layout: Layout | None = None
        self._kept: list[tuple[Any, KeptType]] = []
        self._types: list[ColumnType] = []
        self._vector_type: Any = None
        self._pending: list[list[Any]] = []
        self._pending_rows = 0
        self._pending_bytes = 0

    def add(self, batch: OutputBatch) -> None:
        """Some more records."""
        if len(batch.ids) == 0:
            return
        self._begin(batch)
        arrays = []
        for field, kept in self._kept:
            if batch.arrow is None:  # not one of these rows could be read
                column = pa.chunked_array([pa.nulls(len(batch.ids), field.type)])
            else:
                column = batch.arrow.column(field.name)
            kept.see(column)
            arrays.append(column)
        for index, values in enumerate(self._columns(batch)):
            kind = self._types[index] | type_of(values)
            self._types[index] = kind
            arrays.append(to_arrow(values, kind))
        if self._has_vectors:
            arrays.append(_vectors(batch))
        self._pending.append(arrays)
        self._pending_rows += len(batch.ids)
        self._pending_bytes += sum(array.nbytes for array in arrays)

    def table(self) -> Any:
        """All that was added since the last time, as a ``pyarrow.Table``."""
        schema = self._arrow_schema()
        columns = list(zip(*map(self._widened, self._pending), strict=True))
        self._pending, self._pending_rows, self._pending_bytes = [], 0, 0
        if not columns:
            return schema.empty_table()
        return pa.Table.from_arrays([_chunked(arrays) for arrays in columns], schema=schema)

    def _begin(self, batch: OutputBatch | None) -> Layout:
        if self._layout is None:
            self._layout = lay_out_for(self._schema, batch)
            leading = [ColumnType.NOTHING] * len(self._layout.leading)
            if self._layout.kept and self._schema.arrow_schema is not None:
                fields_in = _read_schema(self._schema.arrow_schema)
                self._kept = [(field, KeptType(writable(field.type))) for field in fields_in]
                leading = []
            chunks = [ColumnType.BIG_INT] * len(self._layout.chunks)
            costs = _COSTS if self._schema.costs else ()
            fields = [_DECLARED[field.type] for field in plain_fields(self._schema)]
            self._types = [*leading, *chunks, *costs, *fields]
            if self._has_vectors:
                size = self._schema.dimension
                self._vector_type = _vector_type(-1 if size is None else size)
        if self._has_vectors and batch is not None and batch.vectors.shape[1]:
            self._vector_type = _vector_type(batch.vectors.shape[1])
        return self._layout

    def _columns(self, batch: OutputBatch) -> Iterator[Sequence[Any]]:
        """The values of every column but the vectors' and those of an Arrow input."""
        if not self._kept:
            yield from leading_columns(self._begin(batch), batch)
        yield from record_columns(self._schema, batch)
        for field in plain_fields(self._schema):
            values = [result.get(field.name) for result in batch.results]
            if field.type == "json":
                values = [None if v is None else json_bytes(v).decode() for v in values]
            yield values

    def _arrow_schema(self) -> Any:
        names = self._begin(None).names
        fields = [field.with_type(kept.arrow) for field, kept in self._kept]
        if self._schema.every_row:
            fields = [field.with_nullable(True) for field in fields]
        others = zip(names[len(fields) :], self._types, strict=False)
        fields += [pa.field(name, kind.arrow) for name, kind in others]
        if self._has_vectors:
            every = self._schema.every_row
            fields.append(pa.field(names[-1], self._vector_type, nullable=every))
        return pa.schema(fields)

    def _widened(self, arrays: Sequence[Any]) -> list[Any]:
        """Columns as the types in force now; the vectors as they are."""
        types: list[ColumnType | KeptType] = [kept for _, kept in self._kept]
        types += self._types
        count = len(types)
        typed = [widen(a, kind) for a, kind in zip(arrays[:count], types, strict=True)]
        if self._has_vectors and pa.types.is_null(arrays[-1].type):
            return [*typed, pa.nulls(len(arrays[-1]), self._vector_type)]
        return [*typed, *arrays[count:]]


class ArrowSink(ArrowColumns):
    """Implements :class:`batcher.ports.TableSink`: one Arrow table in memory, without a file."""

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.TableSink`."""
        self.add(batch)


class ParquetSink(ArrowColumns):
    """Implements :class:`batcher.ports.OutputSink`.

    Arrays handed to :meth:`write` are not copied: they must not change before :meth:`commit`.
    """

    def __init__(self, target: Target, schema: OutputSchema) -> None:
        """Where the target is a stream, the file grows in the system's temporary directory."""
        super().__init__(schema)
        self._target = target
        self._draft: Draft | None = None

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self.add(batch)
        if self._pending_rows >= GROUP_ROWS or self._pending_bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        schema = self._arrow_schema()
        with writing(self._target.name):
            if self._draft is None:
                self._draft = Draft(self._target, schema, has_vectors=self._has_vectors)
            elif self._draft.schema != schema:
                self._draft.rewrite(schema, self._widened)
            if self._pending:
                self._draft.write(self.table())

    def commit(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self._begin(None)
        if self._pending or self._draft is None:
            self._flush()
        assert self._draft is not None
        with writing(self._target.name):
            self._draft.deliver()
        self._target.commit()

    def abort(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        if self._draft is not None:
            self._draft.abort()
        self._target.abort()


def _read_schema(serialized: str) -> Any:
    """The fields of an Arrow input, from its schema in base64."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(serialized)))


def _chunked(arrays: Sequence[Any]) -> Any:
    """Arrays and chunked arrays, one after the other, as one chunked array."""
    chunks: list[Any] = []
    for array in arrays:
        chunks += array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    return pa.chunked_array(chunks, type=arrays[0].type)


def _vector_type(size: int) -> Any:
    return pa.list_(pa.field("element", pa.float32(), nullable=False), size)


def _vectors(batch: OutputBatch) -> Any:
    """An array of vectors around the numpy array's own memory; null where they are missing.

    Where all are, their length may not be known yet: then it is of no type.
    """
    vectors, missing = batch.vectors, batch.missing
    if len(missing) == len(vectors):
        return pa.nulls(len(vectors))
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    kind = _vector_type(vectors.shape[1])
    if not missing:
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    mask = np.zeros(len(vectors), dtype=bool)
    mask[list(missing)] = True
    return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=pa.array(mask))
