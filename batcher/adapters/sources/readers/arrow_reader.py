"""A table that a program handed over, read from where it was spooled as Arrow's IPC stream."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing

import pyarrow as pa

from batcher.adapters.sources.readers.parquet_reader import ParquetBatch, ParquetReader


class ArrowReader(ParquetReader):
    """One pass over a spooled table. Its columns are judged as those of a Parquet file are."""

    def batches(self) -> Iterator[ParquetBatch]:
        """See :class:`batcher.adapters.sources.batch.Reader`."""
        with closing(self._open_raw()) as file, pa.ipc.open_stream(file) as stream:
            schema = stream.schema
            self.columns = self._names(schema)
            for field in schema:
                self._check_type(field.name, field.type)
            self.arrow_schema = base64.b64encode(schema.serialize()).decode()
            number = 0
            for arrow in stream:
                batch = ParquetBatch(first=number, arrow=arrow) if arrow.num_rows else None
                number += arrow.num_rows
                if batch is not None and number > self._request.start:
                    yield batch
