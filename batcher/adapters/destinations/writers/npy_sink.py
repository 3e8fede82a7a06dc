"""NumPy out: the vectors alone, one after another, as one float32 array of two dimensions.

The header, which says how many there are, has a fixed width and is written when all are there.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from batcher.adapters.destinations.target import FileTarget, writing
from batcher.ports import OutputBatch, OutputSchema

HEADER_BYTES: Final = 128


class NpySink:
    """Implements :class:`batcher.ports.EveryRowSink` for vectors that belong to whole rows."""

    holds_every_row: Final = ".npy has a place for every row"

    def __init__(self, target: FileTarget, schema: OutputSchema) -> None:
        """Leave room for the header."""
        self._target = target
        self._dimension = schema.dimension
        self._count = 0
        with writing(target.name):
            target.file.write(bytes(HEADER_BYTES))

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        if len(batch.ids) == 0:
            return
        vectors = np.ascontiguousarray(batch.vectors, dtype="<f4")
        count, dimension = vectors.shape
        if self._dimension is None:
            self._dimension = dimension
        if (len(batch.ids), self._dimension) != (count, dimension):
            raise ValueError(f"{count} vectors of {dimension}, expected {self._dimension}")
        with writing(self._target.name):
            self._target.file.write(vectors.data)
        self._count += count

    def commit(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        with writing(self._target.name):
            self._target.file.seek(0)
            self._target.file.write(npy_header(self._count, self._dimension or 0))
        self._target.commit()

    def abort(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self._target.abort()


def npy_header(count: int, dimension: int) -> bytes:
    """Version 1.0 of NumPy's format (``numpy.lib.format``), padded to its full width."""
    shape = f"({count}, {dimension})"
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    length = HEADER_BYTES - 10
    return (
        b"\x93NUMPY\x01\x00"
        + length.to_bytes(2, "little")
        + text.ljust(length - 1).encode("ascii")
        + b"\n"
    )
