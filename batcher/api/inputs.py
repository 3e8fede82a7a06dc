"""What may be an input in Python: a file's path, rows, or a table of any library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from batcher.ports import InputSource


class ArrowTable(Protocol):
    """A table of any library that speaks Arrow's C stream: pandas, polars, pyarrow, duckdb, …."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """See Arrow's PyCapsule interface."""
        ...


Input: TypeAlias = str | os.PathLike[str] | Iterable[Mapping[str, Any]] | ArrowTable
"""A path (or URL, or ``-``), rows as dicts, or a table."""


@dataclass(frozen=True, slots=True)
class ReadInput:
    """An input by its ``name``; ``source`` is None where that is a path.

    ``index`` is that of a pandas frame.
    """

    name: str
    source: InputSource | None = field(default=None, repr=False)
    index: Any = field(default=None, repr=False)


def read_input(given: object, max_bytes: int | None = None) -> ReadInput:
    """Read an input that is no file, here and now; of at most so many bytes.

    Raises:
        UsageError: it is nothing of which rows could be read.
        InputError: its rows are not as they must be.
    """
    if isinstance(given, str):
        return ReadInput(given)
    if isinstance(given, os.PathLike):
        return ReadInput(os.fsdecode(given))
    from batcher.adapters.sources.tables import is_pandas, open_rows, open_table
    from batcher.adapters.system.private_files import STATE_DIRECTORY

    name = f"<{_library(given)}{type(given).__name__}>"
    is_table = is_pandas(given) or hasattr(given, "__arrow_c_stream__")
    if not is_table:
        _check_rows(given, name)
    opened = open_table if is_table else open_rows
    place = STATE_DIRECTORY / "spool"
    source = opened(given, name=name, spool_dir=place, max_bytes=max_bytes)  # type: ignore[arg-type]
    index = given.index if is_pandas(given) and hasattr(given, "index") else None
    return ReadInput(name, source, index)


def _library(given: object) -> str:
    library = type(given).__module__.partition(".")[0]
    return "" if library == "builtins" else f"{library}."


def _check_rows(given: object, name: str) -> None:
    if hasattr(given, "collect"):
        raise UsageError(f"{name} is not computed yet: give its collect()")
    if isinstance(given, Mapping):
        raise UsageError(f"{name} is not rows: give a list of dicts, one for each row, or a table")
    if not isinstance(given, Iterable) or isinstance(given, bytes):
        raise UsageError(
            f"{name} is not an input: give a path, a list of dicts, or a table "
            "(pandas, polars, Arrow)"
        )
