"""What CSV and JSONL outputs share: a text, compressed perhaps, written beside its target."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Protocol, cast

import zstandard

from batcher.adapters.destinations.target import Target, writing
from batcher.adapters.destinations.writers.layout import vector_field
from batcher.adapters.formats.file_names import Compression
from batcher.ports import OutputSchema

_GZIP_HEADER = 16
"""What zlib adds to the window's size to mean gzip's header and end, without a name or a time."""


class _Writer(Protocol):
    """What takes bytes; ``close`` ends the archive and leaves the file below open."""

    def write(self, data: bytes, /) -> object: ...

    def close(self) -> None: ...


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write

    def close(self) -> None:
        pass


class _Gzip:
    """What :mod:`gzip` writes, without its file: that would write on when it is given up."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._archive = zlib.compressobj(level=6, wbits=zlib.MAX_WBITS | _GZIP_HEADER)

    def write(self, data: bytes) -> None:
        self._file.write(self._archive.compress(data))

    def close(self) -> None:
        self._file.write(self._archive.flush())


def _compressed(file: BinaryIO, compression: Compression | None) -> _Writer:
    """A writer into ``file``."""
    if compression is None:
        return _Plain(file)
    if compression == "gz":
        return _Gzip(file)
    return cast(_Writer, zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))


class TextSink:
    """All of :class:`batcher.ports.OutputSink` but ``write``."""

    def __init__(
        self, target: Target, schema: OutputSchema, compression: Compression | None
    ) -> None:
        """Write to ``target``."""
        self._target = target
        self._schema = schema
        self._writer = _compressed(target.file, compression)
        self._vector = vector_field(schema)

    def commit(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        with writing(self._target.name):
            self._writer.close()
        self._target.commit()

    def abort(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self._target.abort()
