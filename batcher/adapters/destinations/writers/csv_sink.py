r"""CSV out: the input's columns and the result's, quoted only where they must be, ``\n`` line ends.

What it writes the CSV reader reads back as it was.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from batcher.adapters.destinations.target import Target, writing
from batcher.adapters.destinations.writers.layout import (
    Layout,
    cell_text,
    lay_out_for,
    leading_columns,
    plain_fields,
    record_columns,
)
from batcher.adapters.destinations.writers.text_sink import TextSink
from batcher.adapters.formats.file_names import Compression
from batcher.adapters.formats.json_text import json_bytes
from batcher.ports import OutputBatch, OutputSchema

_FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?")


class CsvSink(TextSink):
    """Implements :class:`batcher.ports.OutputSink`."""

    def __init__(
        self, target: Target, schema: OutputSchema, compression: Compression | None
    ) -> None:
        """Write to ``target``."""
        super().__init__(target, schema, compression)
        self._layout: Layout | None = None

    def write(self, batch: OutputBatch) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        if len(batch.ids) == 0:
            return
        layout = self._begin(batch)
        columns = [self._cells(values) for values in leading_columns(layout, batch)]
        columns += [self._cells(values) for values in record_columns(self._schema, batch)]
        for field in plain_fields(self._schema):
            values = [result.get(field.name) for result in batch.results]
            columns.append(_json(values) if field.type == "json" else self._cells(values))
        with writing(self._target.name):
            if self._vector is not None:
                self._write_vectors(columns, batch.vectors, frozenset(batch.missing))
            else:
                self._writer.write(_csv(zip(*columns, strict=True)))

    def _cells(self, values: Sequence[Any]) -> Sequence[str]:
        """Values as cells; numbers are no formulas, and texts that are numbers neither."""
        if not self._schema.csv_safe:
            return _texts(values)
        return [
            f"'{text}" if isinstance(value, str) and _is_formula(text) else text
            for value, text in zip(values, _texts(values), strict=True)
        ]

    def _write_vectors(
        self, columns: list[Sequence[str]], vectors: Any, missing: frozenset[int]
    ) -> None:
        """A JSON array needs quotes and nothing doubled in them; the csv module is slow to see."""
        rows = zip(zip(*columns, strict=True), vectors, strict=True)
        for index, (row, vector) in enumerate(rows):
            if index in missing:
                self._writer.write(_csv([(*row, "")]))
                continue
            self._writer.write(_csv([row])[:-1] + b',"' + json_bytes(vector) + b'"\n')

    def _begin(self, batch: OutputBatch | None) -> Layout:
        if self._layout is None:
            self._layout = lay_out_for(self._schema, batch)
            with writing(self._target.name):
                self._writer.write(_csv([self._cells(self._layout.names)]))
        return self._layout

    def commit(self) -> None:
        """See :class:`batcher.ports.OutputSink`."""
        self._begin(None)
        super().commit()


def _is_formula(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula, or be led to one by it.

    Source: OWASP, "CSV Injection": what begins with one of these, in its wide form, too.
    """
    return text.startswith(_FORMULA) and not _NUMBER.fullmatch(text)


def _texts(values: Sequence[Any]) -> Sequence[str]:
    return values if set(map(type, values)) == {str} else list(map(cell_text, values))


def _json(values: Iterable[Any]) -> list[str]:
    return ["" if value is None else json_bytes(value).decode() for value in values]


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    r"""Rows as CSV. A lone ``\r``, which the csv module leaves bare, makes its row quoted."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        (quoted if any("\r" in cell for cell in row) else plain).writerow(row)
    return text.getvalue().encode()
