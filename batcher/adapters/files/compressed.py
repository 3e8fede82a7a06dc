"""Outputs that are compressed while they are written."""

from __future__ import annotations

import zlib
from typing import BinaryIO, Protocol, cast

import zstandard

from batcher.adapters.files.formats import Compression

_GZIP_HEADER = 16
"""What zlib adds to the window's size to mean gzip's header and end, without a name or a time."""


class Writer(Protocol):
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


def compressed(file: BinaryIO, compression: Compression | None) -> Writer:
    """A writer into ``file``."""
    if compression is None:
        return _Plain(file)
    if compression == "gz":
        return _Gzip(file)
    return cast(Writer, zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))
