"""A row's text as its columns hold it: one of them, or some one after the other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.answers import text_of
from batcher.core.kind import Option, TextFile

BETWEEN = "\n\n"
"""What stands between the texts of two columns; a column that is blank is left out."""

_SINGLE_BRACES = re.compile(r"(?<!\{)\{\s*([^\W\d]\w*)\s*\}(?!\})")
_MARKS = ("{{", "{%", "{#")

TEXT = Option(
    name="text",
    help="Column that holds the text; repeated, several columns, with a blank line between.",
    type="columns",
)
"""The option ``--text`` of kinds whose rows are texts."""


class ColumnsText:
    """The text of a row by its columns."""

    def __init__(self, columns: Sequence[str]) -> None:
        """``columns`` are at least one."""
        self.columns = tuple(columns)
        self._only = self.columns[0] if len(self.columns) == 1 else None

    @property
    def names(self) -> str | list[str]:
        """The columns, for a fingerprint: of one, its name alone."""
        return list(self.columns) if self._only is None else self._only

    def render(self, record: Mapping[str, Any]) -> str:
        """The row's text.

        Raises:
            batcher.core.errors.RowError: a column is missing.
        """
        if self._only is not None:
            return text_of(record, self._only)
        texts = [text_of(record, column) for column in self.columns]
        return BETWEEN.join(text for text in texts if text.strip())

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.kinds.NamesColumns`: several columns are no list in one word."""
        for column in self.columns:
            parts = [part.strip() for part in column.split(",")]
            if len(parts) > 1 and set(parts) <= set(present):
                said = " ".join(f"--text {part}" for part in parts)
                return f"each column has a --text of its own: {said}"
        return ""


def is_template(text: str) -> bool:
    """Whether a text holds any of Jinja2's marks."""
    return any(mark in text for mark in _MARKS)


def plain_text(file: TextFile) -> str:
    """A text without such marks, as a template would make it: a file ends in a line break."""
    return file.text.removesuffix("\n").removesuffix("\r") if file.path else file.text


def single_braces_hint(text: str, columns: Sequence[str] | None = None) -> str:
    """What to say of ``{name}`` in a text, which Jinja2 leaves as it is; empty for nothing.

    Of the ``columns`` alone, if given: any other name may well be meant as it stands.
    """
    found = (match[1] for match in _SINGLE_BRACES.finditer(text))
    name = next((name for name in found if columns is None or name in columns), None)
    return "" if name is None else f"{{{name}}} is plain text: a column is {{{{ {name} }}}}"
