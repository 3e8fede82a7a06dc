"""A file whose bytes another thread brings to disk, while its owner makes the next ones.

An export is bound by two things that need not wait for each other: encoding records, and the
kernel's copies of them. What is written is synced as it goes, so that the sync at the end, which
nobody can be spared, finds little to do; and the kernel lets go of the pages, so that an output of
gigabytes pushes nothing else out of memory, and the next bytes find pages that were there before.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

_BLOCK_BYTES: Final = 1 << 20
_BLOCKS_WAITING: Final = 4
_SYNC_BYTES: Final = 32 << 20
_NOTHING: Final = b""


class WriteBehind(io.RawIOBase):
    """A raw file of one owner. An error of the thread's is raised by the owner's next call.

    Anything but a write waits for the writes before it.
    """

    def __init__(self, descriptor: int) -> None:
        """Take over an open descriptor, which :meth:`close` closes."""
        self._descriptor = descriptor
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_BLOCKS_WAITING)
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._work, name="output-writer", daemon=True)
        self._thread.start()

    def write(self, data: ReadableBuffer, /) -> int:
        """Take a copy of at most a block of the data; returns how many bytes."""
        self._raise_failure()
        block = bytes(memoryview(data).cast("B")[:_BLOCK_BYTES])
        self._blocks.put(block)
        return len(block)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """See :class:`io.RawIOBase`."""
        self._drain()
        return os.readv(self._descriptor, [buffer])

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See :class:`io.IOBase`."""
        self._drain()
        return os.lseek(self._descriptor, offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """See :class:`io.IOBase`."""
        size = self.tell() if size is None else size
        os.ftruncate(self._descriptor, size)
        return size

    def settle_soon(self) -> None:
        """Have what others wrote to the file brought to disk, and let go of."""
        self._raise_failure()
        self._blocks.put(_NOTHING)

    def flush(self) -> None:
        """Wait until the kernel has everything."""
        if not self.closed:
            self._drain()

    def fileno(self) -> int:
        """The descriptor, whose position is not the owner's until :meth:`flush`."""
        return self._descriptor

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Write what waits, end the thread and close the descriptor."""
        if self.closed:
            return
        try:
            super().close()
        finally:
            self._blocks.put(None)
            self._thread.join()
            os.close(self._descriptor)

    def _drain(self) -> None:
        self._blocks.join()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        unsynced_bytes = 0
        while (block := self._blocks.get()) is not None:
            if self._failure is None:
                try:
                    _write_all(self._descriptor, block)
                    unsynced_bytes += len(block)
                    if unsynced_bytes >= _SYNC_BYTES or block is _NOTHING:
                        _settle(self._descriptor)
                        unsynced_bytes = 0
                except OSError as exc:
                    self._failure = exc
            self._blocks.task_done()


def _write_all(descriptor: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(descriptor, view) :]


def _settle(descriptor: int) -> None:
    if sys.platform == "linux":
        os.fdatasync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    else:
        os.fsync(descriptor)
