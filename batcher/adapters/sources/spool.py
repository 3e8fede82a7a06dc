"""Input that can be read only once, copied to disk so that it can be read again.

The copy has no name on disk: it is gone with the process, however that ends. A stream may be
endless: what is copied of it ends at a limit, and before the disk is full.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

from batcher.adapters.system.private_files import make_directory
from batcher.core.errors import InputError

_BLOCK_BYTES: Final = 1 << 20
LEAST_ROOM_BYTES: Final = 128 << 20
"""What a copy leaves free on its disk, for the database that may be there, too."""


class _View(io.RawIOBase):
    """An independent position in a file that is already open."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = 0
        if whence == os.SEEK_CUR:
            base = self._position
        elif whence == os.SEEK_END:
            base = os.fstat(self._descriptor).st_size
        self._position = base + offset
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        count = os.preadv(self._descriptor, [buffer], self._position)
        self._position += count
        return count


class Spool:
    """A stream's whole content on disk."""

    def __init__(self, directory: Path, *, source: str, most_bytes: int | None = None) -> None:
        """An empty one; ``source`` is the stream's name in messages.

        ``most_bytes`` is how long the stream may be; None leaves it to the disk.

        Raises:
            InputError: nothing can be written there.
        """
        self._directory = directory
        self._source = source
        self._most_bytes = most_bytes
        self._size = 0
        self._made = [folder for folder in (directory, *directory.parents) if not folder.exists()]
        with self._writing():
            try:
                self._file = _nameless_file(directory)
            except FileNotFoundError:  # another process has just removed what it had made
                self._file = _nameless_file(directory)

    def copy(self, stream: BinaryIO) -> None:
        """Copy the stream to its end.

        Raises:
            InputError: it cannot be read, is too long, or the copy cannot be written.
        """
        with self._writing():
            while block := stream.read(_BLOCK_BYTES):
                self._append(block)
            self._file.flush()

    def write(self, block: bytes) -> None:
        """Append to the content, where it comes in blocks.

        Raises:
            InputError: it is too much, or cannot be written.
        """
        with self._writing():
            self._append(block)
            self._file.flush()

    def expect(self, size_bytes: int) -> None:
        """So much more is said to come.

        Raises:
            InputError: it is too much.
        """
        if self._most_bytes is not None and self._size + size_bytes > self._most_bytes:
            raise InputError(
                f"is longer than --max-input-bytes allows ({self._most_bytes:,} bytes)",
                source=self._source,
            )
        room = _room_bytes(self._file.fileno())
        if size_bytes > room - LEAST_ROOM_BYTES:
            raise InputError(
                f"cannot be copied to {self._directory}: the disk has {max(0, room) >> 20} MB left "
                f"after {self._size >> 20} MB of it, and {LEAST_ROOM_BYTES >> 20} MB stay free; "
                "make room, run where there is some, or name a file",
                source=self._source,
            )

    def _append(self, block: bytes) -> None:
        self.expect(len(block))
        self._file.write(block)
        self._size += len(block)

    def empty(self) -> None:
        """Begin anew."""
        self._file.seek(0)
        self._file.truncate()
        self._size = 0

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise InputError(
                f"cannot be copied to {self._directory}: {exc.strerror or exc}", source=self._source
            ) from exc

    def open(self) -> BinaryIO:
        """The content from its beginning."""
        return cast(BinaryIO, io.BufferedReader(_View(self._file.fileno())))

    def close(self) -> None:
        """Give the disk space back, and remove the directories that were made for it, if empty."""
        self._file.close()
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return


def _nameless_file(directory: Path) -> IO[bytes]:
    make_directory(directory)
    return tempfile.TemporaryFile(dir=directory)


def _room_bytes(descriptor: int) -> int:
    """How much may still be written on the disk of an open file."""
    disk = os.fstatvfs(descriptor)
    return disk.f_bavail * disk.f_frsize
