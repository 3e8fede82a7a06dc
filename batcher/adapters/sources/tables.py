"""Inputs that are no files: rows and tables of a program, copied to disk as they are read.

A table comes by Arrow's C stream (or from pandas, by slices), rows as mappings, one by one: neither
is ever in memory as a whole besides what the program holds itself. What an input is known by is its
content: names, types and values, however a table is cut into pieces in memory.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import orjson

from batcher.adapters.formats.json_text import json_bytes
from batcher.adapters.sources.batch import BATCH_ROWS
from batcher.adapters.sources.encodings import UTF8
from batcher.adapters.sources.file_source import FileSource, Text
from batcher.adapters.sources.readers.jsonl_reader import JsonlReader
from batcher.adapters.sources.spool import Spool
from batcher.core.errors import InputError
from batcher.core.model import InputFacts
from batcher.core.text import exactjson

_ROW_OPTIONS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_NOTHING: Final = frozenset({"NAType", "NaTType"})
"""The types of what pandas has in the place of a value."""
_PANDAS_ROWS: Final = 32 * BATCH_ROWS


class TableSource(FileSource):
    """A spooled table, known by the content's hash and not by that of the spooled bytes."""

    def __init__(self, *, name: str, spool: Spool, text: Text, content_sha256: str) -> None:
        """It owns the spool."""
        super().__init__(
            name=name, open_raw=spool.open, compression=None, text=text, close=spool.close
        )
        self._content_sha256 = content_sha256

    def check(self, *, id_column: str | None, columns: Sequence[str], skip_bad: bool) -> InputFacts:
        """See :class:`batcher.ports.InputSource`."""
        facts = super().check(id_column=id_column, columns=columns, skip_bad=skip_bad)
        return replace(facts, sha256=self._content_sha256)

    def sha256(self) -> str:
        """See :class:`batcher.ports.InputSource`."""
        super().sha256()
        return self._content_sha256


def open_rows(
    rows: Iterable[object], *, name: str, spool_dir: Path, max_bytes: int | None = None
) -> FileSource:
    """An input of rows that are mappings; read here and now, once.

    Raises:
        InputError: one is not a mapping, or cannot be represented in JSON; or there is no room.
    """

    def write(spool: Spool) -> FileSource:
        for block in _joined(_lines(rows, name)):
            spool.write(block)
        return FileSource(
            name=name,
            open_raw=spool.open,
            compression=None,
            text=Text(kind="json", reader=JsonlReader, encoding=UTF8),
            close=spool.close,
        )

    return _spooled(Spool(spool_dir, source=name, most_bytes=max_bytes), write)


def open_table(
    table: Any, *, name: str, spool_dir: Path, max_bytes: int | None = None
) -> FileSource:
    """An input that is a table: whatever has ``__arrow_c_stream__``, or a pandas frame.

    Raises:
        InputError: pandas cannot make a column of Arrow of it, or there is no room.
    """
    from batcher.adapters.sources.readers.arrow_reader import (
        ArrowReader,  # pyarrow takes a while to import
    )

    def write(spool: Spool) -> FileSource:
        schema, batches = (
            _read_pandas(table, name) if is_pandas(table) else _read_stream(table, name)
        )
        return TableSource(
            name=name,
            spool=spool,
            text=Text(kind="arrow", reader=ArrowReader),
            content_sha256=_write_arrow(spool, schema, batches),
        )

    return _spooled(Spool(spool_dir, source=name, most_bytes=max_bytes), write)


def is_pandas(table: object) -> bool:
    """Whether it is a pandas frame, whose own Arrow stream would have its row labels in it."""
    module = type(table).__module__.partition(".")[0]
    return module == "pandas" and hasattr(table, "iloc") and hasattr(table, "columns")


def _spooled(spool: Spool, write: Callable[[Spool], FileSource]) -> FileSource:
    try:
        return write(spool)
    except BaseException:
        spool.close()
        raise


def _joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines in blocks, so that not each of them is a system call."""
    block = bytearray()
    for line in lines:
        block += line
        block += b"\n"
        if len(block) >= 1 << 20:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def _lines(rows: Iterable[object], name: str) -> Iterator[bytes]:
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InputError(
                f'row {number} is of type {type(row).__name__}: rows are dicts, as {{"text": "…"}}',
                source=name,
            )
        plain = row if isinstance(row, dict) else dict(row)
        try:
            yield orjson.dumps(plain, default=_default, option=_ROW_OPTIONS)
        except (orjson.JSONEncodeError, RecursionError):
            yield exactjson.dumps(_exact(plain, name, number)).encode()


def _default(value: object) -> Any:
    if type(value).__name__ in _NOTHING:
        return None
    if isinstance(value, date | time):  # a subclass, such as pandas' Timestamp
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _exact(value: Any, name: str, number: int) -> Any:
    """The value as JSON holds it, with numbers of any size."""
    if value is None or isinstance(value, str | bool | int | Decimal):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _exact(item, name, number) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item, name, number) for item in value]
    try:
        return orjson.loads(orjson.dumps(value, default=_default, option=_ROW_OPTIONS))
    except (orjson.JSONEncodeError, RecursionError) as exc:
        raise InputError(
            f"row {number} holds a value of type {type(value).__name__}, which has no form in "
            "JSON: write it as text",
            source=name,
        ) from exc


def _read_stream(table: Any, name: str) -> tuple[Any, Iterator[Any]]:
    import pyarrow as pa

    try:
        reader = pa.RecordBatchReader.from_stream(table)
    except pa.ArrowInvalid as exc:
        raise InputError(
            "is one column: give the table that it is of; batcher.chat, embed and classify take "
            "a column of texts as it is",
            source=name,
        ) from exc
    return reader.schema, iter(reader)


def _read_pandas(frame: Any, name: str) -> tuple[Any, Iterator[Any]]:
    """Its columns, and the levels of its index that have names; some rows at a time."""
    import pyarrow as pa

    named = [level for level in frame.index.names if level is not None]
    if named:
        unnamed = [at for at, level in enumerate(frame.index.names) if level is None]
        frame = (frame.droplevel(unnamed) if unnamed else frame).reset_index()
    frame = frame.set_axis([str(column) for column in frame.columns], axis=1)

    def batches(schema: Any) -> Iterator[Any]:
        for start in range(0, len(frame), _PANDAS_ROWS):
            part = frame.iloc[start : start + _PANDAS_ROWS]
            yield from pa.Table.from_pandas(part, schema, preserve_index=False).to_batches()

    try:
        schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
    except (pa.ArrowException, TypeError, ValueError) as exc:
        raise _mixed(frame, name) from exc
    return schema, _guarded(batches(schema), lambda: _mixed(frame, name))


def _guarded(batches: Iterator[Any], error: Callable[[], InputError]) -> Iterator[Any]:
    import pyarrow as pa

    try:
        yield from batches
    except (pa.ArrowException, TypeError, OverflowError) as exc:
        raise error() from exc


def _mixed(frame: Any, name: str) -> InputError:
    """Says which column has no Arrow type; never what is in it."""
    import pyarrow as pa

    for at, column in enumerate(frame.columns):
        try:
            pa.array(frame.iloc[:, at], from_pandas=True)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return InputError(
                f"column {column!r} holds values of several types, or of one that Arrow does not "
                f"know: make texts of them, as in df[{column!r}].astype(str), or leave it out",
                source=name,
            )
    return InputError(
        "cannot be read as a table: leave out whatever is not a plain column", source=name
    )


def _write_arrow(spool: Spool, schema: Any, batches: Iterator[Any]) -> str:
    """Write a table as an IPC stream; returns its content's hash, in hex."""
    import pyarrow as pa

    from batcher.adapters.formats.arrow_storage import without_views
    from batcher.adapters.sources.readers.parquet_reader import ParquetBatch

    # A view's buffers would be written with every slice, whole.
    plain = pa.schema([field.with_type(without_views(field.type)) for field in schema])
    content = hashlib.sha256(json_bytes([[field.name, _called(field.type)] for field in plain]))
    with pa.ipc.new_stream(_Writing(spool), plain) as writer:
        for batch in _even(batches):
            arrow = batch if plain == batch.schema else _cast(batch, plain)
            values = ParquetBatch(first=0, arrow=arrow).values
            rows = list(zip(*map(values, plain.names), strict=True))
            content.update(json_bytes(rows)[1:-1] + b",")
            writer.write_batch(arrow)
    return content.hexdigest()


def _called(kind: Any) -> str:
    """The type's name; texts of either width are one, since libraries change their minds."""
    return str(kind).replace("large_", "")


def _cast(batch: Any, schema: Any) -> Any:
    import pyarrow as pa

    columns = [
        column if column.type == field.type else column.cast(field.type)
        for column, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _even(batches: Iterator[Any]) -> Iterator[Any]:
    """Batches of no more rows than a reader gives at a time, and small ones put together."""
    waiting: list[Any] = []
    for batch in batches:
        if batch.num_rows >= BATCH_ROWS // 2:
            yield from _merged(waiting)
            waiting = []
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)
        elif batch.num_rows:
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= BATCH_ROWS // 2:
                yield from _merged(waiting)
                waiting = []
    yield from _merged(waiting)


def _merged(batches: Sequence[Any]) -> Iterator[Any]:
    import pyarrow as pa

    if len(batches) > 1:
        try:
            yield pa.concat_batches(batches)
            return
        except pa.ArrowException:
            pass  # not every type can be put together
    yield from batches


class _Writing:
    """A spool as the file that pyarrow writes to."""

    closed = False

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, block: Any) -> int:
        self._spool.write(bytes(block))
        return len(block)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """The spool stays."""
