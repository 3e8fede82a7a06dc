"""Inputs that are checked and streamed, outputs that are complete or absent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

from batcher.core.kind import Field
from batcher.core.model import (
    BadRow,
    InputFacts,
    InputRow,
    RowId,
)
from batcher.ports.time import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """An input to be opened, as its job names it.

    ``address`` is a path, ``-`` for standard input, or a URL. ``format``, ``delimiter`` and
    ``encoding`` are None where the job does not say them. What can be read only once is copied to
    ``spool_dir``, ``max_bytes`` of it at most; ``clock`` is what waiting goes by. ``allowed`` are
    the paths and beginnings of URLs that may be read, None where everything may be: the address is
    one of them, and a source that is led elsewhere (by a redirect) has to look again.
    """

    address: str
    spool_dir: Path
    clock: Clock
    format: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    max_bytes: int | None = None
    allowed: tuple[str, ...] | None = None


@runtime_checkable
class Source(Protocol):
    """A kind of inputs, found by the suffix of their names or the scheme of their URLs.

    The entry point group ``batcher.sources`` names it: ``.csv`` is a suffix, ``https`` a scheme.
    """

    async def open(self, wanted: SourceRequest) -> InputSource:
        """The input, which is read from its beginning whenever it is asked for.

        Raises:
            batcher.core.errors.UsageError: it cannot be read in the way that was asked for.
            batcher.core.errors.InputError: there is no such input, or it cannot be read.
        """
        ...


class InputSource(Protocol):
    """An input file (or spooled standard input): checked once, streamed any number of times.

    A job that was broken off in its plan goes on from a row's number, which is its cursor: the same
    input gives the same rows under the same numbers, and :meth:`sha256` says if it is the same.
    A context manager that closes at its end. Rows with a structural fault come from :meth:`rows`
    as :class:`BadRow` in their place, duplicate ids among them; a row that is bad for another
    reason does not make its id taken.
    """

    @property
    def name(self) -> str:
        """The input as the user named it, for messages."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        ...

    def close(self) -> None:
        """Let go of what was spooled; safe to call twice."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What the last :meth:`check` guessed of the input, a sentence each, with what says it."""
        ...

    def check(self, *, id_column: str | None, columns: Sequence[str], skip_bad: bool) -> InputFacts:
        """One pass over everything: content hash, row count, columns, structural faults.

        ``columns`` must all exist (for JSONL: in every row). With ``skip_bad`` row-level faults
        are left for :meth:`rows` to deliver as :class:`BadRow`.

        Raises:
            batcher.core.errors.InputError: with file and line, what was expected, what to do.
        """
        ...

    def rows(self, start: int = 0) -> Iterator[list[InputRow | BadRow]]:
        """Batches of rows from number ``start`` on, in order; call :meth:`check` before."""
        ...

    def sha256(self) -> str:
        """The hash of the raw bytes as read by the last exhausted :meth:`rows`, in hex."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSchema:
    """What an output's records look like, known before the first is written.

    ``columns`` are the input's (CSV and Parquet write them), ``fields`` the kind's, ``chunked``
    whether records carry ``chunk, start, end``, ``costs`` whether they say what each cost;
    ``dimension`` is the length of a vector (None where there is none yet). ``arrow_schema`` says
    the columns' types where the records come as Arrow tables
    (:class:`batcher.core.model.InputFacts`). ``csv_safe`` keeps CSV cells from being taken for
    formulas. ``every_row``: rows without a result have a record, too.
    """

    columns: tuple[str, ...]
    fields: tuple[Field, ...]
    chunked: bool
    dimension: int | None
    costs: bool = False
    arrow_schema: str | None = None
    csv_safe: bool = False
    every_row: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputBatch:
    """Some consecutive output records, column-wise; all sequences have the same length.

    ``vectors`` is one float32 array of shape (records, dimension), or None where the kind makes
    none; ``results`` are its other fields, one JSON object each, and empty where it has none.
    ``records`` are the input's columns (empty where the job did not keep them), or ``arrow`` is a
    ``pyarrow.Table`` of them; ``chunks`` are ``(chunk, start, end)`` where the schema is chunked;
    ``costs`` are, where it has them, tokens of the prompt and of the output, dollars (None where no
    price is known) and the model as the provider names it (None where nothing was sent).
    ``missing`` are the records, by their index, of rows without a result: their vectors are zeros,
    their results empty, their chunks None. ``next_row`` is the number of the first row that is in
    no batch up to this one, where that is known.
    """

    ids: Sequence[RowId]
    rows: Sequence[int]
    results: Sequence[Mapping[str, Any]] = field(repr=False)
    vectors: Any = field(repr=False)
    records: Sequence[Mapping[str, Any]] = field(repr=False)
    chunks: Sequence[tuple[int | None, int | None, int | None]]
    costs: Sequence[tuple[int, int, float | None, str | None]] = ()
    arrow: Any = field(default=None, repr=False)
    missing: Sequence[int] = ()
    next_row: int = 0


Seen: TypeAlias = tuple[int, ...] | Literal["nothing", "anything", "stream"]
"""What stood at an output's path when it was looked at: a file (numbers that change with it),
nothing, or a pipe or a device. ``anything`` is what may be replaced unlooked at."""


class Draft(Protocol):
    """A file being written beside its target; complete or absent."""

    def commit(self) -> None:
        """Flush, sync and rename into place.

        Raises:
            OutputTaken: at its path stands something else than was seen before.
        """
        ...

    def abort(self) -> None:
        """Remove what was written; safe to call after commit."""
        ...


class TableSink(Protocol):
    """Records on their way to a table in memory, with the columns of a Parquet output."""

    def write(self, batch: OutputBatch) -> None:
        """Append records."""
        ...

    def table(self) -> Any:
        """All of them, as a ``pyarrow.Table``."""
        ...


class OutputSink(Draft, Protocol):
    """An output of records."""

    def write(self, batch: OutputBatch) -> None:
        """Append records."""
        ...


@runtime_checkable
class ResumableSink(OutputSink, Protocol):
    """An output that a later one goes on with, where its own process ended."""

    def flush(self) -> None:
        """What was written until now stays, whatever comes; writing it again changes nothing."""
        ...


@runtime_checkable
class EveryRowSink(OutputSink, Protocol):
    """An output that has a place for every row, and cannot be written without one.

    Where a row has no result, nothing is written but the errors.
    """

    @property
    def holds_every_row(self) -> str:
        """What it is and what it has a place for, for a message: ``.npy has a place for …``."""
        ...


@runtime_checkable
class ReportingSink(OutputSink, Protocol):
    """An output that keeps what stands beside a file: the errors and the manifest.

    All of it counts when it is committed. The records of rows that failed come first, some at a
    time, then the output's own, then the manifest.
    """

    def write_errors(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append rows that failed: ``id``, ``row``, ``code``, ``message``, ``attempts``."""
        ...

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """The manifest, once, before it is committed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkRequest:
    """An output to be written, as its job names it.

    ``address`` is a path or a URL; ``format`` that of a file whose name does not say it. ``seen``
    is what stood at a path, which may be replaced. At a URL its destination decides that, by
    ``job`` and ``name``, those of the job, and ``overwrite``: replace what is not the job's.
    ``from_row``: the rows before this number were flushed by an earlier sink of the same delivery.
    """

    address: str
    schema: OutputSchema
    format: str | None = None
    seen: Seen = "anything"
    job: str = ""
    name: str | None = None
    overwrite: bool = False
    from_row: int = 0


@runtime_checkable
class Destination(Protocol):
    """A kind of outputs, found by the suffix of their names or the scheme of their URLs.

    The entry point group ``batcher.destinations`` names it: ``.csv`` is a suffix, ``s3`` a scheme.
    Of a file, errors and manifest are written beside it and decide what may be replaced; at a URL
    there is no beside, and a :class:`ReportingSink` is given them.
    """

    def check_form(self, wanted: SinkRequest) -> None:
        """Refuse what could never be written. Nothing is looked at: others may do the writing.

        Raises:
            batcher.core.errors.UsageError: the format is not known or does not suit the results.
        """
        ...

    def check_place(self, wanted: SinkRequest) -> None:
        """Refuse, before anything is paid for, what could not be written from here.

        Raises:
            batcher.core.errors.UsageError: what is missing, or what may not be written to.
        """
        ...

    def open(self, wanted: SinkRequest) -> OutputSink:
        """The output; complete or absent, or added to so that a repeat changes nothing.

        Raises:
            batcher.core.errors.UsageError: as of the checks.
            batcher.core.errors.OutputTaken: it is not the job's.
            batcher.core.errors.OutputError: it cannot be written now; it may be later.
        """
        ...
