"""Blocks of whole lines, cut out of blocks of any size, and the number of each one's first line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from batcher.core.errors import InputError

MAX_LINE_BYTES: Final = 64 << 20
_BOM: Final = b"\xef\xbb\xbf"
_UTF16_BOMS: Final = (b"\xff\xfe", b"\xfe\xff")


def line_breaks(data: bytes, *, bare_cr: bool) -> int:
    r"""How many lines end in ``data``; ``bare_cr`` counts a ``\r`` without ``\n`` too."""
    count = data.count(b"\n")
    if bare_cr and b"\r" in data:
        count += data.count(b"\r") - data.count(b"\r\n")
    return count


def whole_lines(
    blocks: Iterable[bytes], *, source: str, bare_cr: bool
) -> Iterator[tuple[int, bytes]]:
    """``(first line, block)``: blocks end where a line ends; a byte order mark is left out.

    Raises:
        InputError: the text is UTF-16, or a line has no end within 64 MiB.
    """
    line = 1
    rest: list[bytes] = []
    size = 0
    for block in blocks:
        cut = _end_of_lines(block, bare_cr=bare_cr)
        if cut:
            whole = b"".join((*rest, block[:cut]))
            yield line, _text(whole, source) if line == 1 else whole
            line += line_breaks(whole, bare_cr=bare_cr)
            rest, size = [], 0
        if cut < len(block):
            rest.append(block[cut:])
            size += len(block) - cut
        if size > MAX_LINE_BYTES:
            raise InputError(
                f"the line is longer than {MAX_LINE_BYTES >> 20} MiB: is this the right --format?",
                source=source,
                line=line,
            )
    if rest:
        whole = b"".join(rest)
        yield line, _text(whole, source) if line == 1 else whole


def _end_of_lines(block: bytes, *, bare_cr: bool) -> int:
    """Where the last whole line in the block ends; 0 where none does."""
    end = block.rfind(b"\n") + 1
    if end == 0 and bare_cr:
        # The last byte may be the first half of a \r\n.
        end = block.rfind(b"\r", 0, max(len(block) - 1, 0)) + 1
    return end


def _text(start: bytes, source: str) -> bytes:
    """The beginning of a file without its byte order mark."""
    if start.startswith(_UTF16_BOMS):
        raise InputError("the file is UTF-16: save it as UTF-8", source=source)
    return start.removeprefix(_BOM)
