"""Some consecutive rows as a format read them, and what each format's reader can do.

A reader knows its format and the faults of its rows' form. It knows nothing of ids, duplicates or
what is done with a faulty row: that is :mod:`batcher.adapters.sources.file_source`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, Protocol

from batcher.adapters.sources.faults import Fault, listed
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.core.errors import InputError, MissingColumn

BATCH_ROWS: Final = 1024


class Batch(Protocol):
    """Consecutive rows. A row in ``faults`` (by its index) has no usable record."""

    first: int
    faults: dict[int, Fault]

    @property
    def arrow(self) -> Any:
        """The rows as a ``pyarrow.RecordBatch``; None where the format has no Arrow types."""
        ...

    def __len__(self) -> int: ...

    def values(self, column: str) -> list[Any]:
        """The column's value in each row; None where there is none."""
        ...

    def records(self) -> Sequence[Mapping[str, Any]]:
        """Each row as its columns."""
        ...

    def lines(self) -> list[int]:
        """The physical line that each row begins on, from 1. Slow: for faults."""
        ...


def unheard(note: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a reader is asked for: ``columns`` must be there; rows before ``start`` are skipped.

    ``note`` hears what a reader guesses of the file, as the rest of a sentence about it.
    """

    source: str
    id_column: str | None
    columns: tuple[str, ...]
    skip_bad: bool
    start: int = 0
    note: Callable[[str], None] = unheard

    @property
    def asked(self) -> tuple[str, ...]:
        """All columns that must be there, the ids' first."""
        return self.columns if self.id_column is None else (self.id_column, *self.columns)


class Reader(Protocol):
    """One pass over the rows of one format."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The input's columns, in order; whole once :meth:`batches` has come to the end."""
        ...

    @property
    def arrow_schema(self) -> str | None:
        """The input's Arrow schema (:class:`batcher.core.model.InputFacts`), when it was read."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Batches from the row asked for on; the first may begin before it.

        Raises:
            InputError: the file itself is at fault, not one row of it.
        """
        ...


class ReaderFactory(Protocol):
    """Makes the reader of one format."""

    def __call__(self, raw: RawPass, open_raw: OpenRaw, request: Request) -> Reader: ...


def require(request: Request, present: Sequence[str], *, hint: str = "") -> None:
    """Refuse a file that lacks a column asked for, the ids' included.

    Raises:
        InputError: says which columns there are, and the nearest; a MissingColumn, unless it is
            the ids'.
    """
    for column in request.asked:
        if column not in present:
            near = get_close_matches(column, present, n=1)
            question = f" (did you mean {near[0]!r}?)" if near else ""
            message = f"there is no column {column!r}{question}: there are {listed(present)}{hint}"
            if column == request.id_column:
                raise InputError(message, source=request.source)
            raise MissingColumn(message, source=request.source, present=(*near, *present))
