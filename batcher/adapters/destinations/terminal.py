"""Records on a terminal: what is in them is shown, and moves no cursor.

A pipe or a file gets every byte as it is; a terminal would obey some of them.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from typing import BinaryIO


class TerminalStream(io.BytesIO):
    """A stream of text in UTF-8 that is written to a terminal; its lines stay lines."""

    def __init__(self, terminal: BinaryIO, shown: Callable[[str], str]) -> None:
        """``shown`` makes a line inert."""
        super().__init__()
        self._shown = shown
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # bytes are all it is given
        """Write what the bytes say, inert."""
        text = self._decoder.decode(bytes(data)).replace("\r\n", "\n")
        self._terminal.write("\n".join(map(self._shown, text.split("\n"))).encode())
        return len(data)

    def flush(self) -> None:
        """Have it shown."""
        self._terminal.flush()
