"""Records as one Arrow table in memory: the columns of a Parquet output, without a file."""

from __future__ import annotations

from batcher.adapters.files.parquet_sink import ArrowColumns
from batcher.ports import OutputBatch


class ArrowSink(ArrowColumns):
    """Implements :class:`batcher.ports.TableSink`."""

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.TableSink`."""
        self.add(batch)
