"""CSV: the csv module's own reader over decoded blocks, a thousand rows at a time.

Python runs per batch, not per row, as long as nothing is wrong; where something is, line numbers
are worked out from the rows themselves. A first line ``sep=;``, as Excel reads and writes it, says
the delimiter.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any, Final, TypeAlias

from batcher.adapters.sources.batch import BATCH_ROWS, Request, require
from batcher.adapters.sources.faults import SAVE, Fault
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.adapters.sources.readers.delimiters import (
    MARKS,
    SAMPLE_LINES,
    guess_delimiter,
    shown_delimiter,
)
from batcher.adapters.sources.readers.lines import line_breaks, whole_lines
from batcher.core.errors import InputError

MAX_FIELD_CHARS: Final = 16 << 20
_SEPARATOR_LINE: Final = re.compile(r'("?)sep=([^"\r\n])\1(?:\r\n|\r|\n)?', re.IGNORECASE)
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")
_TOO_LONG = (
    f"a field of this row has more than {MAX_FIELD_CHARS >> 20} MiB, the most there may be: "
    "perhaps a quote that opens it is never closed"
)
_NO_TEXT: Final = [""]
_Run: TypeAlias = tuple[int, list[list[str]]]  # the line that the first begins on, and the rows
_QUOTES = (
    "a quoted field that begins in this row is not closed, or holds a quote that is not doubled: "
    'write "" for a quote inside a quoted field'
)


class CsvBatch:
    """Rows as lists of text; ``raw`` has the blank lines too, as empty lists."""

    arrow = None

    def __init__(
        self, *, first: int, header: tuple[str, ...], raw: list[list[str]], line: int
    ) -> None:
        """``line`` is the physical line that the first of ``raw`` begins on."""
        self.first = first
        self.faults: dict[int, Fault] = {}
        self.rows = list(filter(None, raw))
        self._header = header
        self._raw = raw
        self._line = line

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, column: str) -> list[Any]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        index = self._header.index(column)
        if not self.faults:
            return list(map(itemgetter(index), self.rows))
        return [None if i in self.faults else row[index] for i, row in enumerate(self.rows)]

    def records(self) -> list[dict[str, str]]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        header = self._header
        return [dict(zip(header, row, strict=False)) for row in self.rows]

    def lines(self) -> list[int]:
        """See :class:`batcher.adapters.sources.batch.Batch`."""
        lines = []
        line = self._line
        for row in self._raw:
            if row:
                lines.append(line)
            line += 1 + sum(len(_LINE_BREAK.findall(field)) for field in row)
        return lines


class CsvReader:
    """One pass over a CSV file: a header, then rows of as many fields."""

    arrow_schema = None

    def __init__(
        self,
        raw: RawPass,
        open_raw: OpenRaw,
        request: Request,
        *,
        delimiter: str | None,
        usual: str = ",",
    ) -> None:
        """``delimiter`` is one character; None for what the file says or shows.

        ``usual`` is what it is where nothing speaks for another.
        """
        self._usual = usual
        csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARS))
        self.columns: tuple[str, ...] = ()
        self._raw = raw
        self._request = request
        self._delimiter = delimiter
        self._tainted = False
        self._lines_before = 0

    def batches(self) -> Iterator[CsvBatch]:
        """See :class:`batcher.adapters.sources.batch.Reader`."""
        lines = self._without_separator_line(chain.from_iterable(self._texts()))
        if self._delimiter is None:
            sample = list(islice(lines, SAMPLE_LINES))
            self._delimiter = guess_delimiter(sample, self._request.asked, self._usual)
            if self._delimiter != self._usual:
                mark = shown_delimiter(self._delimiter)
                self._request.note(f"has fields separated by {mark}; --delimiter gives another")
            lines = chain(sample, lines)
        rows = csv.reader(lines, delimiter=self._delimiter, strict=True)
        self.columns = self._header(rows)
        runs = self._runs(rows)
        if len(self.columns) == 1:
            runs = _with_blank_rows(runs)
        number = 0
        for line, raw in runs:
            batch = CsvBatch(first=number, header=self.columns, raw=raw, line=line)
            number += len(batch)
            if number > self._request.start:
                self._find_faults(batch)
                yield batch

    def _without_separator_line(self, lines: Iterator[str]) -> Iterator[str]:
        first = next(lines, "")
        if found := _SEPARATOR_LINE.fullmatch(first):
            self._delimiter = self._delimiter or found[2]
            self._lines_before = 1
            return lines
        return chain((first,), lines) if first else lines

    def _next_line(self, rows: Iterator[list[str]]) -> int:
        """The physical line that the next row begins on."""
        return self._lines_before + rows.line_num + 1  # type: ignore[attr-defined, no-any-return]

    def _runs(self, rows: Iterator[list[str]]) -> Iterator[_Run]:
        line = self._next_line(rows)
        while raw := self._take(rows):
            yield line, raw
            line = self._next_line(rows)

    def _take(self, rows: Iterator[list[str]], count: int = BATCH_ROWS) -> list[list[str]]:
        line = self._next_line(rows)
        taken: list[list[str]] = []
        try:
            # extend() keeps what it took before the error, which says where the error begins.
            taken.extend(islice(rows, count))
        except csv.Error as exc:
            before = CsvBatch(first=0, header=(), raw=[*taken, ["?"]], line=line)
            what = _TOO_LONG if "field limit" in str(exc) else _QUOTES
            raise self._error(what, before.lines()[-1]) from exc
        return taken

    def _header(self, rows: Iterator[list[str]]) -> tuple[str, ...]:
        header: list[str] = []
        line = 1
        while not header:
            line = self._next_line(rows)
            taken = self._take(rows, 1)
            if not taken:
                raise self._error("the file is empty: it needs a header and rows")
            header = taken[0]
        if self._tainted and not _is_utf8(header):
            raise self._error(f"the header is not UTF-8: {SAVE}", line)
        if "" in header:
            raise self._error(
                f"column {header.index('') + 1} of the header has no name: give it one", line
            )
        if len(set(header)) != len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise self._error(f"column {twice!r} is there twice: rename one of them", line)
        require(self._request, header, hint=self._hint(header))
        return tuple(header)

    def _hint(self, header: list[str]) -> str:
        """A header that is one long name was cut by another delimiter."""
        if len(header) > 1:
            return ""
        for mark in MARKS:
            if mark in header[0] and mark != self._delimiter:
                shown = shown_delimiter(mark)
                return f"; if another character separates the fields, give --delimiter {shown}"
        return ""

    def _find_faults(self, batch: CsvBatch) -> None:
        width = len(self.columns)
        if set(map(len, batch.rows)) - {width}:
            for index, row in enumerate(batch.rows):
                if len(row) != width:
                    batch.faults[index] = Fault(
                        "ragged_row", f"expected {width} fields, found {len(row)}"
                    )
        if self._tainted and not _is_utf8(chain.from_iterable(batch.rows)):
            for index, row in enumerate(batch.rows):
                if not _is_utf8(row):
                    batch.faults[index] = Fault("invalid_utf8", "the row is not UTF-8")

    def _texts(self) -> Iterator[io.StringIO]:
        """The file as texts whose lines end as the csv module wants them."""
        source = self._request.source
        for line, block in whole_lines(self._raw.blocks(), source=source, bare_cr=True):
            if b"\0" in block:
                raise self._error(
                    "a NUL byte: is the file damaged, or not text at all?",
                    line + line_breaks(block[: block.index(0)], bare_cr=True),
                )
            try:
                text = block.decode()
            except UnicodeDecodeError as exc:
                if not self._request.skip_bad:
                    at = line + line_breaks(block[: exc.start], bare_cr=True)
                    fault = Fault("invalid_utf8", "the line is not UTF-8")
                    raise fault.error(source=source, line=at) from None
                # What is not UTF-8 becomes lone surrogates, by which its rows are found.
                self._tainted = True
                text = block.decode(errors="surrogateescape")
            yield io.StringIO(text, newline="")

    def _error(self, message: str, line: int | None = None) -> InputError:
        return InputError(message, source=self._request.source, line=line)


def _with_blank_rows(runs: Iterator[_Run]) -> Iterator[_Run]:
    """The rows of a file with one column, where a blank line is a row without text.

    RFC 4180 has it so, and databases write a NULL there; left out, it would shift the numbers of
    all rows below. At the end of a file it is none: that is how files end. Where there are more
    columns, a blank line lacks fields and is skipped, as the csv module does.
    """
    blank = 0
    for line, raw in runs:
        filled = len(raw)
        while filled and not raw[filled - 1]:
            filled -= 1
        while filled and blank:
            count = min(blank, BATCH_ROWS)
            yield line - blank, [_NO_TEXT] * count
            blank -= count
        if filled:
            yield line, [row or _NO_TEXT for row in raw[:filled]]
        blank += len(raw) - filled


def _is_utf8(fields: Iterator[str] | list[str] | chain[str]) -> bool:
    try:
        "".join(fields).encode()
    except UnicodeEncodeError:
        return False
    return True
