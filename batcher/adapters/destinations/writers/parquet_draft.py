"""A Parquet file on its way: row groups appended, and rewritten when the schema widens.

Vectors are written as they are: not compressed, without dictionary or statistics, none of which
gains anything on floats that look random. Other columns get all three.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from batcher.adapters.destinations.target import FileTarget, Target
from batcher.core.options import is_unicode

_BLOCK_BYTES = 1 << 20


class Draft:
    """The file, in the target's part where it is a file, else in a temporary one."""

    def __init__(self, target: Target, schema: Any, *, has_vectors: bool) -> None:
        """``schema`` is a ``pyarrow.Schema``; where ``has_vectors``, the last column is vectors."""
        self.schema = schema
        self._target = target
        self._has_vectors = has_vectors
        self._direct = target if isinstance(target, FileTarget) else None
        self._file = self._temporary() if self._direct is None else target.file
        self._writer = self._open_writer()

    def write(self, table: Any) -> None:
        """Append a ``pyarrow.Table`` as one row group."""
        self._writer.write_table(table, row_group_size=max(table.num_rows, 1))
        if self._direct is not None:
            self._direct.settle_soon()

    def rewrite(self, schema: Any, widened: Callable[[Sequence[Any]], list[Any]]) -> None:
        """Change to a wider schema; ``widened`` turns a group's columns into such of it."""
        self._writer.close()
        with self._temporary() as former:
            self._file.seek(0)
            shutil.copyfileobj(self._file, former, _BLOCK_BYTES)
            self._file.seek(0)
            self._file.truncate()
            self.schema = schema
            self._writer = self._open_writer()
            with pq.ParquetFile(former) as parquet:
                for index in range(parquet.num_row_groups):
                    columns = parquet.read_row_group(index).combine_chunks().columns
                    arrays = widened([_whole(column) for column in columns])
                    self.write(pa.Table.from_arrays(arrays, schema=schema))

    def deliver(self) -> None:
        """End the file and hand its bytes to the target."""
        self._writer.close()
        if self._file is not self._target.file:
            with self._file:
                self._file.seek(0)
                shutil.copyfileobj(self._file, self._target.file, _BLOCK_BYTES)

    def abort(self) -> None:
        """Let go of the writer, and of the file where it is not the target's."""
        try:
            self._writer.close()
        except (OSError, ValueError, pa.ArrowException):
            # What was still buffered is not wanted, and pyarrow must not try again.
            self._writer.is_open = False
        if self._file is not self._target.file:
            self._file.close()

    def _temporary(self) -> BinaryIO:
        directory = None if self._direct is None else self._direct.part.parent
        return cast(BinaryIO, tempfile.TemporaryFile(dir=directory))

    def _path(self) -> str | None:
        """The file by its name, so that no byte passes through Python on its way.

        None where pyarrow cannot have the name: it takes nothing but UTF-8.
        """
        path = None if self._direct is None else str(self._direct.part)
        return None if path is None or not is_unicode(path) else path

    def _open_writer(self) -> Any:
        path = self._path()
        names = _leaves(self.schema)
        vectors = [names.pop()] if self._has_vectors else []
        return pq.ParquetWriter(
            self._file if path is None else path,
            self.schema,
            compression={**dict.fromkeys(names, "zstd"), **dict.fromkeys(vectors, "none")},
            use_dictionary=names,
            write_statistics=names,
        )


def _leaves(schema: Any) -> list[str]:
    """The paths of the columns as Parquet has them: a struct is one for each of its fields."""
    with io.BytesIO() as file:
        pq.ParquetWriter(file, schema).close()
        with pq.ParquetFile(file) as parquet:
            return [parquet.schema.column(index).path for index in range(len(parquet.schema))]


def _whole(column: Any) -> Any:
    """A chunked column, of one chunk or none, as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
