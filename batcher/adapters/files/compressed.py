"""Outputs that are compressed while they are written."""

from __future__ import annotations

import gzip
from typing import BinaryIO, Protocol, cast

import zstandard

from batcher.adapters.files.formats import Compression


class Writer(Protocol):
    """What takes bytes; ``close`` ends the archive and leaves the file below open."""

    def write(self, data: bytes, /) -> object: ...

    def close(self) -> None: ...


class _Plain:
    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write

    def close(self) -> None:
        pass


def compressed(file: BinaryIO, compression: Compression | None) -> Writer:
    """A writer into ``file``."""
    if compression is None:
        return _Plain(file)
    if compression == "gz":
        return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6)
    return cast(Writer, zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False))
