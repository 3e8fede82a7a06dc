"""What goes to standard output: results asked for, and JSON; and what is said beside it.

Whatever is printed passes here or through a screen, and is inert: see
:mod:`batcher.core.text.inert`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import orjson

from batcher.core.errors import UsageError
from batcher.core.text import exactjson
from batcher.core.text.inert import inert, inert_json


def print_json(value: Any) -> None:
    """One JSON value on one line."""
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        text = exactjson.dumps(value)
    click.echo(inert_json(text))


def check_stdout(*, as_json: bool, output: str | None) -> None:
    """Refuse to write two things to standard output.

    Raises:
        UsageError: both the records and JSON would go there.
    """
    if as_json and output == "-":
        raise UsageError("--json and -o - both write to standard output: choose one")


def print_lines(lines: Sequence[str]) -> None:
    """Text for people who asked for it."""
    for line in lines:
        click.echo(inert(line))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> list[str]:
    """Aligned columns; ``right`` names the headings whose columns are aligned to the right."""
    rows = [[inert(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(headings, *rows, strict=True)]
    aligned_right = set(right.split())

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if heading in aligned_right else cell.ljust(width)
            for cell, width, heading in zip(cells, widths, headings, strict=True)
        ).rstrip()

    return [line(headings), *(line(row) for row in rows)]
