"""What separates the fields of a CSV file, where nobody says it: as its first lines show.

The usual mark holds unless it is wrong for certain: the columns asked for are not there with it, or
there is one column with it and, line for line, several with another.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Final

MARKS: Final = (";", "\t", "|", ",")
SAMPLE_LINES: Final = 50


def guess_delimiter(lines: Sequence[str], asked: Sequence[str], usual: str) -> str:
    """The delimiter of a file that begins with these lines and has the columns ``asked`` for."""
    rows = {mark: _rows(lines, mark) for mark in dict.fromkeys((usual, *MARKS))}
    headers = {mark: found[0] if found else [] for mark, found in rows.items()}
    if asked and set(asked) <= set(headers[usual]):
        return usual
    fitting = [mark for mark in MARKS if asked and set(asked) <= set(headers[mark])]
    if fitting:
        return max(fitting, key=lambda mark: len(headers[mark]))
    if len(headers[usual]) > 1:
        return usual
    regular = [mark for mark in MARKS if _is_header(headers[mark]) and _is_regular(rows[mark])]
    return max(regular, key=lambda mark: len(headers[mark]), default=usual)


def shown_delimiter(mark: str) -> str:
    """A delimiter as ``--delimiter`` takes it."""
    return "tab" if mark == "\t" else f"'{mark}'"


def _rows(lines: Sequence[str], mark: str) -> list[list[str]]:
    """The rows with this delimiter, without blank ones; none where it makes no sense."""
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in csv.reader(lines, delimiter=mark, strict=True) if row)
    except csv.Error:
        pass  # what came before counts; a last row may be cut off within quotes
    return rows


def _is_header(fields: Sequence[str]) -> bool:
    """Whether fields could be several columns' names."""
    return len(fields) > 1 and all(fields) and len(set(fields)) == len(fields)


def _is_regular(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all rows have as many fields as the header; the last may be cut off."""
    width = len(rows[0])
    return all(len(row) == width for row in rows[:-1])
