"""Tables of SQLite files as inputs and outputs: ``sqlite:///PATH?table=NAME``."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from batcher.adapters.sources import open_rows
from batcher.core.errors import InputError, OutputError, UsageError
from batcher.core.kind import Field
from batcher.ports import InputSource, OutputBatch, SinkRequest, SourceRequest


class Tables:
    """Reads a table, a row each, in the order in which they were inserted."""

    async def open(self, wanted: SourceRequest) -> InputSource:
        return await asyncio.to_thread(self._copy, wanted)

    def _copy(self, wanted: SourceRequest) -> InputSource:
        path, table = _place(wanted.address)
        if not path.is_file():
            raise InputError("there is no such file", source=str(path))
        with closing(sqlite3.connect(path)) as database:
            database.row_factory = sqlite3.Row
            return open_rows(
                _rows(database, table, str(path)),
                name=f"{path}, table {table}",
                spool_dir=wanted.spool_dir,
                max_bytes=wanted.max_bytes,
            )


def _rows(database: sqlite3.Connection, table: str, name: str) -> Iterator[dict[str, Any]]:
    try:
        for row in database.execute(f"SELECT * FROM {_quoted(table)} ORDER BY rowid"):
            yield dict(row)
    except sqlite3.Error as exc:
        raise InputError(f"table {table} cannot be read: {exc}", source=name) from exc


class Upserts:
    """Writes a row for each record, by its id: a record that is written again replaces itself."""

    def check_form(self, wanted: SinkRequest) -> None:
        _place(wanted.address)
        if wanted.schema.chunked:
            raise UsageError("sqlite:// keeps one record for each id, and a split row has several")

    def check_place(self, wanted: SinkRequest) -> None:
        path, _ = _place(wanted.address)
        if not path.parent.is_dir():
            raise UsageError(f"{path}: there is no directory {path.parent}: make it first")

    def open(self, wanted: SinkRequest) -> Table:
        self.check_form(wanted)
        self.check_place(wanted)
        return Table(wanted)


class Table:
    """A table on its way, with two beside it: NAME_errors and NAME_runs."""

    def __init__(self, wanted: SinkRequest) -> None:
        self._path, self._name = _place(wanted.address)
        self._fields = wanted.schema.fields
        self._job = wanted.job
        # Any thread may call, one at a time.
        self._database = sqlite3.connect(self._path, check_same_thread=False)
        names = [_quoted(field.name) for field in self._fields]
        columns = ", ".join(["id TEXT PRIMARY KEY", "row INTEGER", *names])
        self._execute(f"CREATE TABLE IF NOT EXISTS {_quoted(self._name)} ({columns})")

    def write(self, batch: OutputBatch) -> None:
        missing = set(batch.missing)
        for at, (id_, row) in enumerate(zip(batch.ids, batch.rows, strict=True)):
            cells = [None if at in missing else _cell(batch, at, field) for field in self._fields]
            self._insert(self._name, (str(id_), row, *cells))

    def write_errors(self, records: Sequence[Mapping[str, Any]]) -> None:
        name = f"{self._name}_errors"
        self._execute(f"CREATE TABLE IF NOT EXISTS {_quoted(name)} (id TEXT PRIMARY KEY, error)")
        for record in records:
            self._insert(name, (str(record["id"]), json.dumps(record, default=str)))

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        name = f"{self._name}_runs"
        self._execute(
            f"CREATE TABLE IF NOT EXISTS {_quoted(name)} (job TEXT PRIMARY KEY, manifest)"
        )
        self._insert(name, (self._job, json.dumps(manifest)))

    def flush(self) -> None:
        """What is in the table stays; a later attempt goes on after it."""
        self._database.commit()

    def commit(self) -> None:
        self._database.commit()
        self._database.close()

    def abort(self) -> None:
        self._database.close()  # which undoes what was not committed

    def _insert(self, table: str, values: tuple[Any, ...]) -> None:
        marks = ", ".join("?" * len(values))
        self._execute(f"INSERT OR REPLACE INTO {_quoted(table)} VALUES ({marks})", values)

    def _execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        try:
            self._database.execute(statement, values)
        except sqlite3.Error as exc:
            raise OutputError(f"{self._path}: table {self._name} cannot be written: {exc}") from exc


def _place(address: str) -> tuple[Path, str]:
    """The file and the table that a URL names."""
    url = urlsplit(address)
    tables = parse_qs(url.query).get("table", [])
    path = f"{url.netloc}{url.path}"
    if not path or len(tables) != 1:
        raise UsageError(f"{address} is not like sqlite:///PATH?table=NAME")
    return Path(path), tables[0]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _cell(batch: OutputBatch, at: int, field: Field) -> Any:
    """The value of one field of one record; what is no number or text, as JSON."""
    if field.type == "vector":
        return json.dumps(batch.vectors[at].tolist())
    value = batch.results[at].get(field.name)
    return json.dumps(value) if isinstance(value, list | dict) else value


SOURCE = Tables()
DESTINATION = Upserts()
