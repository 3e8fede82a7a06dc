"""JSON arrays: their elements as the lines of JSONL, cut out of blocks of any size.

Only where an element begins and ends is looked for here; what it says is read as a line of JSONL
is. Memory holds one element and a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Final

import orjson

from batcher.adapters.sources.batch import Request
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.adapters.sources.readers.jsonl_reader import JsonlBatch, JsonlReader
from batcher.adapters.sources.readers.lines import MAX_LINE_BYTES
from batcher.core.errors import InputError

_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_WITHIN: Final = re.compile(rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+", re.DOTALL)
_BETWEEN: Final = re.compile(rb'(?:[^"{}\[\],]++|' + _STRING + rb")*+", re.DOTALL)
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_OPENING, _CLOSING, _QUOTE = b"{[", b"}]", b'"'
_NO_ARRAY = (
    "the file holds {what} and not an array of objects: write the array alone, [{{…}}, {{…}}], or "
    "one object a line (.jsonl)"
)


class JsonReader(JsonlReader):
    """One pass over a JSON array of objects, or over JSONL in a file that is named ``.json``."""

    def __init__(self, raw: RawPass, open_raw: OpenRaw, request: Request) -> None:
        super().__init__(raw, open_raw, request)
        self._is_array = True

    def _blocks(self) -> Iterator[bytes]:
        blocks = _with_start(self._raw.blocks())
        start = next(blocks, b"")
        self._is_array = not _is_jsonl(start)
        if self._is_array:
            return element_lines(_chained(start, blocks), source=self._request.source)
        self._request.note("holds one JSON object a line, and is read as JSONL")
        return _chained(start, blocks)

    def _parse(self, batch: JsonlBatch) -> None:
        super()._parse(batch)
        if self._is_array:
            for index, fault in batch.faults.items():
                said = fault.message.replace("the line", "the element")
                batch.faults[index] = replace(fault, message=said)


def element_lines(blocks: Iterable[bytes], *, source: str) -> Iterator[bytes]:
    """The elements of an array, each a line.

    Raises:
        InputError: it is no array, or is not whole.
    """
    cutter = _Cutter(source)
    for block in blocks:
        if lines := cutter.feed(block):
            yield b"\n".join(lines) + b"\n"
    cutter.finish()


def place_of(blocks: Iterator[bytes], number: int, *, source: str) -> tuple[int | None, int | None]:
    """The physical line of what the reader calls line ``number``, and its row in an array.

    It reads the file once more, up to that place: for messages.
    """
    blocks = _with_start(blocks)
    start = next(blocks, b"")
    if _is_jsonl(start):
        return number, None
    lines = _lines_of_elements(_chained(start, blocks), source)
    return next(islice(lines, number - 1, None), None), number - 1


def _lines_of_elements(blocks: Iterable[bytes], source: str) -> Iterator[int]:
    cutter = _Cutter(source)
    for block in blocks:
        cutter.feed(block)
        yield from cutter.starts


class _Cutter:
    """Where in an array the text is that was read so far.

    ``starts`` are the lines on which the elements of the last block began.
    """

    def __init__(self, source: str) -> None:
        self.starts: list[int] = []
        self._source = source
        self._text = b""
        self._at = 0
        self._depth = 0
        self._ended = False
        self._elements = 0
        self._line = 1

    def feed(self, block: bytes) -> list[bytes]:
        """The elements that end in one more block."""
        text = self._text + block
        lines: list[bytes] = []
        self.starts = []
        start, at = 0, self._at
        if not self._depth and not self._ended:
            blank = text.removeprefix(_BOM)
            text = blank.lstrip(_BLANK)
            self._line += blank.count(b"\n", 0, len(blank) - len(text))
            if text and not _BOM.startswith(text):
                self._begin(text)
                start = at = 1
        while self._depth:
            at = (_BETWEEN if self._depth == 1 else _WITHIN).match(text, at).end()  # type: ignore[union-attr]
            mark = text[at : at + 1]
            if not mark or mark == _QUOTE:
                break  # in the middle of something
            at += 1
            if mark in _OPENING:
                self._depth += 1
            elif mark in _CLOSING:
                self._depth -= 1
            if not self._depth or (self._depth == 1 and mark == b","):
                self._take(text[start : at - 1], lines, last=not self._depth)
                self._ended = not self._depth
                start = at
        if self._ended and (more := text[start:].lstrip(_BLANK)):
            self._line += text.count(b"\n", start, len(text) - len(more))
            raise self._error("there is more text after the array's end: write one array")
        self._text, self._at = text[start:], at - start
        if len(self._text) > MAX_LINE_BYTES:
            raise self._error(f"an element is longer than {MAX_LINE_BYTES >> 20} MiB")
        return lines

    def finish(self) -> None:
        """No more blocks come."""
        if not self._ended and not self._depth:
            if self._text:
                self._begin(self._text)
            raise self._error("the file is empty: it needs an array of objects")
        if not self._ended:
            self._line += self._text.count(b"\n")
            raise self._error("the array ends too early: make or download the file again")

    def _begin(self, text: bytes) -> None:
        if text[:1] != b"[":
            what = "an object" if text[:1] == b"{" else "something else"
            raise self._error(_NO_ARRAY.format(what=what))
        self._depth = 1

    def _take(self, element: bytes, lines: list[bytes], *, last: bool) -> None:
        text = element.lstrip(_BLANK)
        before = element.count(b"\n", 0, len(element) - len(text))
        if not text:
            if last and not self._elements:
                return
            self._line += before
            raise self._error(f"element {self._elements} is missing: there is one comma too many")
        self._elements += 1
        self.starts.append(self._line + before)
        self._line += before + text.count(b"\n")
        lines.append(text.rstrip(_BLANK).replace(b"\n", b" "))

    def _error(self, message: str) -> InputError:
        return InputError(message, source=self._source, line=self._line)


def _with_start(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks; what is no array has a whole line in the first, or all that there is."""
    start = b""
    for block in blocks:
        start += block
        text = start.removeprefix(_BOM).lstrip(_BLANK)
        if text[:1] == b"[" or b"\n" in text or len(start) > MAX_LINE_BYTES:
            break
    if start:
        yield start
    yield from blocks


def _is_jsonl(start: bytes) -> bool:
    line = start.removeprefix(_BOM).lstrip(_BLANK).split(b"\n", 1)[0]
    if not line.startswith(b"{"):
        return False
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True


def _chained(start: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    if start:
        yield start
    yield from blocks
