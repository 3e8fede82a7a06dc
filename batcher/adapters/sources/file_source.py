"""An input of any format: checked once, streamed any number of times.

What a format's reader delivers is judged here: ids, duplicates, and whether a faulty row stops the
job or is handed on as one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from types import TracebackType
from typing import Any, Final, Self, TypeGuard

from batcher.adapters.formats.file_names import COMPRESSIBLE, Compression
from batcher.adapters.sources.batch import (
    Batch,
    Reader,
    ReaderFactory,
    Request,
    require,
    unheard,
)
from batcher.adapters.sources.duplicates import (
    Duplicate,
    Duplicates,
    IdHashes,
    IdRows,
    find_duplicates,
)
from batcher.adapters.sources.encodings import (
    UTF8,
    WINDOWS_1252,
    NotUtf8,
    is_windows_1252,
    marked_encoding,
    note_of,
)
from batcher.adapters.sources.faults import ADVICE, SKIP, Fault
from batcher.adapters.sources.raw import OpenRaw, RawPass
from batcher.adapters.sources.readers.json_array import JsonReader, place_of
from batcher.core.errors import InputError
from batcher.core.model import BadRow, InputFacts, InputRow, RowId, id_texts

_ID_TYPES: Final = frozenset({str, int, float, bool, Decimal})


_OF_LINES: Final = frozenset({"csv", "jsonl"})
_OF_OBJECTS: Final = frozenset({"jsonl", "json"})
_OF_COLUMNS: Final = frozenset({"missing_column", "missing_id"})
_OF_JSON: Final = frozenset({"not_json", "not_an_object"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """How an input is read.

    ``kind`` is its format, which is ``assumed`` where nobody said it; ``encoding`` is None where
    nobody said that.
    """

    kind: str
    reader: ReaderFactory
    encoding: str | None = None
    assumed: bool = False


class FileSource:
    """Implements :class:`batcher.ports.InputSource`; ``name`` is the file as the user named it."""

    def __init__(
        self,
        *,
        name: str,
        open_raw: OpenRaw,
        compression: Compression | None,
        text: Text,
        close: Callable[[], None],
        shared: bool = False,
    ) -> None:
        """``text`` says how it is read; ``close`` lets the raw bytes go.

        ``shared``: other processes can open it by its name.
        """
        self._shared = shared
        self.name = name
        self._open_raw = open_raw
        self._compression = compression
        self._text = text
        self._has_lines = text.kind in _OF_LINES
        self._encoding = text.encoding if text.kind in COMPRESSIBLE else UTF8
        self._close = close
        self._request = Request(source=name, id_column=None, columns=(), skip_bad=False)
        self._duplicates = Duplicates()
        self._sha256: str | None = None
        self._notes: list[str] = []

    def __repr__(self) -> str:
        return f"<FileSource {self.name}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let a spooled input go; safe to call twice."""
        self._close()

    @property
    def notes(self) -> Sequence[str]:
        """See :class:`batcher.ports.InputSource`."""
        return tuple(self._notes)

    def check(self, *, id_column: str | None, columns: Sequence[str], skip_bad: bool) -> InputFacts:
        """See :class:`batcher.ports.InputSource`."""
        self._request = Request(
            source=self.name, id_column=id_column, columns=tuple(columns), skip_bad=skip_bad
        )
        try:
            facts = self._check()
        except NotUtf8:
            self._encoding = self._guessed()
            return self._check()
        self._encoding = self._encoding or UTF8  # it has proved to be
        return facts

    def _check(self) -> InputFacts:
        self._duplicates = Duplicates()
        self._notes = []
        self._look_at_start()
        raw, reader = self._begin(note=self._note)
        hashes = IdHashes()
        rows = 0
        for batch in reader.batches():
            rows = batch.first + len(batch)
            ids = self._judge(batch)
            if ids is not None:
                hashes.add(id_texts(_without(ids, batch.faults)))
        if rows == 0:
            raise InputError("there are no rows: is this the right file?", source=self.name)
        if self._text.kind in _OF_OBJECTS:
            require(self._request, reader.columns)
        repeated = hashes.take_repeated()
        if len(repeated):
            find_duplicates(repeated, self._id_rows, self._report)
            self._duplicates.sort()
        return InputFacts(
            rows=rows,
            sha256=raw.sha256(),
            size_bytes=raw.size_bytes,
            columns=reader.columns,
            arrow_schema=reader.arrow_schema,
        )

    def checked(self) -> bytes | None:
        """See :class:`batcher.ports.planning.SharesCheck`."""
        if not self._shared:
            return None
        return pickle.dumps((self._request, self._encoding, self._duplicates))

    def take_checked(self, checked: bytes) -> None:
        """See :class:`batcher.ports.planning.SharesCheck`."""
        found = pickle.loads(checked)  # noqa: S301  # from the process that began this one
        self._request, self._encoding, self._duplicates = found

    def rows(self, start: int = 0) -> Iterator[list[InputRow | BadRow]]:
        """See :class:`batcher.ports.InputSource`."""
        self._sha256 = None
        raw, reader = self._begin(start)
        for batch in reader.batches():
            ids = self._judge(batch)
            self._mark_duplicates(batch)
            rows = self._rows(batch, ids)
            yield rows[max(start - batch.first, 0) :]
        self._sha256 = raw.sha256()

    def sha256(self) -> str:
        """See :class:`batcher.ports.InputSource`."""
        if self._sha256 is None:
            raise RuntimeError("rows() has not come to its end")
        return self._sha256

    def _begin(
        self, start: int = 0, note: Callable[[str], None] = unheard
    ) -> tuple[RawPass, Reader]:
        raw = self._pass(self._encoding)
        request = replace(self._request, start=start, note=note)
        return raw, self._text.reader(raw, self._open_raw, request)

    def _pass(self, encoding: str | None) -> RawPass:
        return RawPass(
            self._open_raw, source=self.name, compression=self._compression, encoding=encoding
        )

    def _note(self, what: str) -> None:
        self._notes.append(f"{self.name} {what}")

    def _look_at_start(self) -> None:
        """Take the encoding that the text shows by itself; one that was guessed is told of."""
        if self._encoding is None:
            self._encoding = marked_encoding(next(self._pass(UTF8).blocks(), b""))
        if self._encoding not in (None, UTF8) and self._text.encoding is None:
            self._note(note_of(str(self._encoding)))

    def _guessed(self) -> str:
        """What the encoding of a text probably is that is not UTF-8; UTF-8 with faults, if so."""
        return WINDOWS_1252 if is_windows_1252(self._pass(UTF8).blocks()) else UTF8

    def _judge(self, batch: Batch) -> list[Any] | None:
        """The batch's ids where there is an id column; faults are added, or raised."""
        ids, id_column = None, self._request.id_column
        if id_column is not None:
            ids = batch.values(id_column)
            _find_bad_ids(ids, batch.faults, id_column)
        if batch.faults and not self._request.skip_bad:
            index = min(batch.faults)
            fault = batch.faults[index]
            skip_helps = batch.first > 0 or len(batch.faults) < len(batch)
            if fault.code in _OF_COLUMNS and self._text.kind in _OF_OBJECTS:
                self._require_anywhere()
                skip_helps = True
            raise self._error(fault, batch.lines()[index], skip_helps=skip_helps)
        return ids

    def _require_anywhere(self) -> None:
        """Refuse columns that no row has: that is more than one row's fault.

        Raises:
            InputError: see :func:`batcher.adapters.sources.batch.require`.
        """
        request = Request(source=self.name, id_column=None, columns=(), skip_bad=True)
        reader = self._text.reader(self._pass(self._encoding), self._open_raw, request)
        for _ in reader.batches():
            pass
        require(self._request, reader.columns)

    def _error(self, fault: Fault, line: int, *, skip_helps: bool = True) -> InputError:
        """What stops the job at a faulty row; skipping it helps where other rows are sound."""
        advice = ADVICE[fault.code]
        if fault.code in _OF_JSON:
            if self._text.assumed:
                advice = f"a pipe is read as JSONL unless --format says otherwise; {SKIP}"
            elif not self._has_lines:
                advice = advice.replace("every line", "every element")
        at, row = self._place(line)
        if row is not None:
            fault = replace(fault, message=f"row {row}: {fault.message}")
        return fault.error(source=self.name, line=at, skip_helps=skip_helps, advice=advice)

    def _place(self, line: int) -> tuple[int | None, int | None]:
        """The physical line of what a reader calls a line, and the row where that is no line."""
        if self._has_lines:
            return line, None
        if self._text.reader is JsonReader:
            return place_of(self._pass(self._encoding).blocks(), line, source=self.name)
        return None, line - 1

    def _id_rows(self) -> Iterator[IdRows]:
        """The ids once more, of the rows that have no other fault."""
        _, reader = self._begin()
        for batch in reader.batches():
            ids = self._judge(batch)
            assert ids is not None
            numbers = _without(range(batch.first, batch.first + len(batch)), batch.faults)
            yield IdRows(
                texts=id_texts(_without(ids, batch.faults)),
                numbers=numbers,
                lines=lambda batch=batch: _without(batch.lines(), batch.faults),  # type: ignore[misc]
            )

    def _report(self, duplicate: Duplicate) -> None:
        if not self._request.skip_bad:
            raise self._error(self._duplicate_fault(duplicate.first_line), duplicate.line)
        self._duplicates.add(duplicate)

    def _duplicate_fault(self, first_line: int) -> Fault:
        place = f"line {first_line}" if self._has_lines else f"row {first_line - 1}"
        return Fault(
            "duplicate_id", f"the id in column {self._request.id_column!r} is that of {place}"
        )

    def _mark_duplicates(self, batch: Batch) -> None:
        if len(self._duplicates):
            for row, first_line in self._duplicates.between(batch.first, batch.first + len(batch)):
                fault = self._duplicate_fault(first_line)
                batch.faults.setdefault(row - batch.first, fault)

    def _rows(self, batch: Batch, ids: list[Any] | None) -> list[InputRow | BadRow]:
        numbers = range(batch.first, batch.first + len(batch))
        arrow = batch.arrow
        rows: list[InputRow | BadRow] = [
            InputRow(
                number=number,
                id=id_,
                record=record,
                arrow=None if arrow is None else (arrow, number - batch.first),
            )
            for number, id_, record in zip(numbers, ids or numbers, batch.records(), strict=True)
        ]
        if batch.faults:
            lines = batch.lines()
            for index, fault in batch.faults.items():
                id_ = ids[index] if ids else numbers[index]
                rows[index] = BadRow(
                    number=numbers[index],
                    id=id_ if _is_id(id_) and id_ != "" else None,
                    line=lines[index],
                    code=fault.code,
                    message=fault.message,
                )
        return rows


def _is_id(value: Any) -> TypeGuard[RowId]:
    """Whether it has an id's type; NaN, which equals nothing, is no id, nor is what has no end."""
    return type(value) in _ID_TYPES and (type(value) is not float or isfinite(value))


def _find_bad_ids(ids: list[Any], faults: dict[int, Fault], column: str) -> None:
    kinds = set(map(type, ids))
    if kinds <= _ID_TYPES and "" not in ids and (float not in kinds or all(map(_is_id, ids))):
        return
    for index, value in enumerate(ids):
        if index in faults:
            continue
        if value is None or value == "":
            faults[index] = Fault("missing_id", f"the row has no id in {column!r}")
        elif not _is_id(value):
            faults[index] = Fault(
                "bad_id", f"the id in {column!r} is not a string, finite number or boolean"
            )


def _without(values: Any, faults: dict[int, Fault]) -> Any:
    """The values of the rows that have no fault."""
    if not faults:
        return values
    return [value for index, value in enumerate(values) if index not in faults]
