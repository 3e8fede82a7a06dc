"""The columns of an Arrow input as they are kept with a shard: with their types, unlike in JSON.

A shard's rows are slices of the batches that were read, written as an Arrow IPC stream under
zstandard. Values are not looked at: pyarrow alone moves them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
import zstandard

_STREAM_START: Final = b"\xff\xff\xff\xff"
_MISSING: Final = b"batcher.missing"
"""The key in the schema's metadata under which the rows stand that have no record."""
_SMALL_DICTIONARY: Final = 4_096


@dataclass(frozen=True, slots=True)
class ArrowRecords:
    """A shard's records; those of ``missing`` rows are not in the ``table`` (a pyarrow.Table)."""

    table: Any = field(repr=False)
    missing: tuple[int, ...] = ()

    def pick(self, rows: Sequence[int]) -> Any:
        """The records of some rows, ascending, none of them missing, as a table."""
        missing = set(self.missing)
        places: list[int] = []
        place = row = 0
        for wanted in rows:
            while row < wanted:
                place += row not in missing
                row += 1
            places.append(place)
        return _slices(self.table, places)

    def pick_or_null(self, rows: Sequence[int]) -> Any:
        """The same, with nothing but nulls for rows that are missing."""
        import pyarrow as pa

        missing = set(self.missing)
        if missing.isdisjoint(rows):
            return self.pick(rows)
        schema = pa.schema([field.with_nullable(True) for field in self.table.schema])
        table = self.pick([row for row in rows if row not in missing]).cast(schema)
        null = pa.Table.from_arrays([pa.nulls(1, field.type) for field in schema], schema=schema)
        parts, place = [], 0
        for row in rows:
            parts.append(null if row in missing else table.slice(place, 1))
            place += row not in missing
        return pa.concat_tables(parts)


def encode_arrow(records: Sequence[tuple[Any, int] | None]) -> bytes:
    """Rows, each a record batch and an index in it, as bytes; None for a row without a record.

    There must be one with a record.
    """
    import pyarrow as pa  # takes a quarter of a second

    missing = [index for index, record in enumerate(records) if record is None]
    slices = [_compact(batch) for batch in _batches(records)]
    schema = pa.schema(list(slices[0].schema))
    if missing:
        schema = schema.with_metadata({_MISSING: orjson.dumps(missing)})
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, schema) as writer:
        for batch in slices:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
    return zstandard.compress(stream.getvalue(), 1)


def decode_arrow(content: bytes) -> ArrowRecords:
    """What :func:`encode_arrow` was given, from its content without the compression."""
    import pyarrow as pa

    with pa.ipc.open_stream(content) as reader:
        metadata = reader.schema.metadata or {}
        missing = orjson.loads(metadata.get(_MISSING, b"[]"))
        return ArrowRecords(reader.read_all(), tuple(missing))


def is_arrow(content: bytes) -> bool:
    """Whether it is such content, and not JSON."""
    return content.startswith(_STREAM_START)


def _batches(records: Sequence[tuple[Any, int] | None]) -> Iterator[Any]:
    """The rows as slices of their batches, each as long as it can be."""
    start: tuple[Any, int] | None = None
    length = 0
    for record in records:
        if record is None:
            continue
        batch, index = record
        if start is not None and batch is start[0] and index == start[1] + length:
            length += 1
            continue
        if start is not None:
            yield start[0].slice(start[1], length)
        start, length = record, 1
    if start is not None:
        yield start[0].slice(start[1], length)


def _compact(batch: Any) -> Any:
    """The batch with no more of a large dictionary than its rows speak of."""
    import pyarrow as pa

    columns = list(batch.columns)
    for index, column in enumerate(columns):
        if pa.types.is_dictionary(column.type) and (
            len(column.dictionary) > max(_SMALL_DICTIONARY, len(column))
        ):
            columns[index] = column.dictionary_decode().dictionary_encode().cast(column.type)
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _slices(table: Any, places: Sequence[int]) -> Any:
    """Some rows of a table, without a copy; ``take`` does not know every type."""
    import pyarrow as pa

    if places == list(range(table.num_rows)):
        return table
    slices = []
    start = length = 0
    for place in places:
        if place != start + length:
            if length:
                slices.append(table.slice(start, length))
            start, length = place, 0
        length += 1
    slices.append(table.slice(start, length))
    return pa.concat_tables(slices)
