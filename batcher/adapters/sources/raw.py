"""The raw bytes of an input: opened any number of times, hashed while read, decompressed.

A pass reads to the last byte, so that its hash is the whole file's, and never holds more than a
few blocks. Truncated and corrupt archives are errors, not short files.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import BinaryIO, Final, Protocol, TypeAlias, cast

import zstandard

from batcher.adapters.formats.file_names import Compression
from batcher.adapters.sources.encodings import UTF8, as_utf8, checked
from batcher.core.errors import InputError

OpenRaw: TypeAlias = Callable[[], BinaryIO]
"""Opens the bytes from the beginning, anew at every call."""

BLOCK_BYTES: Final = 1 << 20
ARCHIVE_BLOCK_BYTES: Final = 1 << 14
"""What a decompressor is fed at a time: little, since a few bytes may unfold to megabytes."""

MAGIC: Final[dict[bytes, Compression]] = {b"\x1f\x8b": "gz", b"\x28\xb5\x2f\xfd": "zst"}


class _Decompressor(Protocol):
    """What zlib's and zstandard's objects have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_OPENERS: Final[dict[Compression, Callable[[], _Decompressor]]] = {
    "gz": lambda: zlib.decompressobj(wbits=31),
    "zst": lambda: cast(_Decompressor, zstandard.ZstdDecompressor().decompressobj()),
}


class RawPass:
    """One pass over the bytes. The hash and the size are whole once a pass has come to the end."""

    def __init__(
        self,
        open_raw: OpenRaw,
        *,
        source: str,
        compression: Compression | None,
        encoding: str | None = UTF8,
    ) -> None:
        """``source`` names the file in errors; ``compression`` is what its name promises.

        ``encoding`` is that of the text, which :meth:`blocks` gives as UTF-8; None where it is
        not known whether it is UTF-8.
        """
        self._encoding = encoding
        self._open_raw = open_raw
        self._source = source
        self._compression = compression
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def sha256(self) -> str:
        """The hash of the raw bytes read so far, in hex."""
        return self._hash.hexdigest()

    def drain(self) -> None:
        """Read all that there is, for the hash alone."""
        for _ in self._raw_blocks(BLOCK_BYTES):
            pass

    def blocks(self) -> Iterator[bytes]:
        """The content, decompressed, in blocks of any size.

        Raises:
            InputError: it cannot be read, or is not the archive or the text that it should be.
            NotUtf8: its encoding is not known, and it is not UTF-8.
        """
        compression = self._sniff()
        if compression is None:
            blocks = self._raw_blocks(BLOCK_BYTES)
        else:
            blocks = self._unfold(compression)
        if self._encoding == UTF8:
            return blocks
        if self._encoding is None:
            return checked(blocks)
        return as_utf8(blocks, self._encoding, source=self._source)

    def _sniff(self) -> Compression | None:
        with closing(self._open()) as file:
            head = file.read(4)
        found = next((name for magic, name in MAGIC.items() if head.startswith(magic)), None)
        if head and self._compression is not None and found != self._compression:
            raise InputError(
                f"its name ends in .{self._compression} but it is not such an archive: "
                "rename or compress it",
                source=self._source,
            )
        return found

    def _open(self) -> BinaryIO:
        try:
            return self._open_raw()
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _unreadable(self, exc: OSError) -> InputError:
        return InputError(f"cannot be read: {exc.strerror or exc}", source=self._source)

    def _raw_blocks(self, size: int) -> Iterator[bytes]:
        with closing(self._open()) as file:
            while block := self._read(file, size):
                self._hash.update(block)
                self.size_bytes += len(block)
                yield block

    def _read(self, file: BinaryIO, size: int) -> bytes:
        try:
            return file.read(size)
        except OSError as exc:
            raise self._unreadable(exc) from exc

    def _unfold(self, compression: Compression) -> Iterator[bytes]:
        """Decompress, over as many members or frames as follow one another."""
        start = _OPENERS[compression]
        member: _Decompressor | None = None
        try:
            for block in self._raw_blocks(ARCHIVE_BLOCK_BYTES):
                data = block
                while data:
                    if member is None:
                        data = data.lstrip(b"\0") if compression == "gz" else data
                        if not data:
                            break
                        member = start()
                    if content := member.decompress(data):
                        yield content
                    data = b""
                    if member.eof:
                        data, member = member.unused_data, None
        except (zlib.error, zstandard.ZstdError) as exc:
            raise InputError(
                f"the .{compression} archive is corrupt: make or download it again",
                source=self._source,
            ) from exc
        if member is not None:
            raise InputError(
                f"the .{compression} archive ends too early: make or download it again",
                source=self._source,
            )
