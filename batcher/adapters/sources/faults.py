"""What can be wrong with one row, what the user is told, and what the user can do about it.

Messages say where and what, never what the row holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batcher.core.errors import InputError, MissingColumn

SAVE = "save the file as UTF-8, or give its --encoding"
SKIP = "--on-bad-row skip leaves such rows out"

ADVICE: Mapping[str, str] = {
    "ragged_row": f"quote fields that hold the delimiter; {SKIP}",
    "invalid_utf8": f"{SAVE}; {SKIP}",
    "not_json": f"every line must be one JSON object; {SKIP}",
    "number_too_large": f"write it as a text; {SKIP}",
    "not_unicode": f"no UTF-8 text can hold it; {SKIP}",
    "nested_too_deep": f"write what is further in as a text; {SKIP}",
    "bad_value": f"write the file again from its source; {SKIP}",
    "not_an_object": f"every line must be one JSON object; {SKIP}",
    "missing_column": f"every row needs it; {SKIP}",
    "duplicate_id": f"ids are compared as text and must be unique; {SKIP}",
    "missing_id": f"every row needs an id; {SKIP}",
    "bad_id": f"an id is a string, a finite number or a boolean; {SKIP}",
}
"""What to do about each fault, by its code."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one row cannot be read as a row; ``present`` are its keys where one is missing."""

    code: str
    message: str
    present: tuple[str, ...] = ()

    def error(
        self, *, source: str, line: int | None, skip_helps: bool = True, advice: str | None = None
    ) -> InputError:
        """The same as an error that stops the job, with what to do about it.

        ``skip_helps``: other rows would be left; ``advice`` is in place of the usual.
        """
        advice = advice or ADVICE[self.code]
        if not skip_helps:
            advice = advice.removesuffix(SKIP).rstrip("; ")
        if self.code != "missing_column":
            return InputError(f"{self.message}: {advice}", source=source, line=line)
        there = f", only {listed(self.present)}" if self.present else ""
        return MissingColumn(
            f"{self.message}{there}: {advice}", source=source, line=line, present=self.present
        )


def listed(names: Sequence[str]) -> str:
    """The columns or keys that there are, or the first twenty of them."""
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
