"""The index of a former job's rows, in an SQLite file without a name: it goes with the process.

Keys are 64-bit hashes of ids. Where two ids meet in one hash, one of the rows is not found, or is
compared with the other's content: a row that is taken for the same has the same content all the
same, so its result is right.
"""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from batcher.adapters.system.private_files import make_file, make_folder
from batcher.core.errors import StoreError
from batcher.ports import FormerRow

_CACHE_KIB = 16_384
_ROW_BITS = 32
_NOWHERE = -1
_SETTINGS = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")
_TABLES = (
    "CREATE TABLE former (key INTEGER PRIMARY KEY, content BLOB, place INTEGER, pieces BLOB)",
    "CREATE TABLE result (place INTEGER PRIMARY KEY, value BLOB)",
)
_ADD = "INSERT OR REPLACE INTO former VALUES (?, ?, ?, ?)"
_FIND = "SELECT content, place, pieces FROM former WHERE key = ?"
_KEEP = "INSERT OR REPLACE INTO result VALUES (?, ?)"
_KEPT = "SELECT value FROM result WHERE place = ?"


class SqliteRowIndex:
    """See :class:`batcher.ports.RowIndex`."""

    def __init__(self, directory: Path) -> None:
        """``directory`` is made, and should have room for the results of one job.

        Raises:
            StoreError: nothing can be written there.
        """
        self._directory = directory
        self._lock = threading.Lock()
        with self._translated():
            make_folder(directory)
            self._folder = tempfile.TemporaryDirectory(dir=directory, ignore_cleanup_errors=True)
            path = Path(self._folder.name) / "rows.db"
            make_file(path)
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            try:
                for setting in (*_SETTINGS, f"cache_size=-{_CACHE_KIB}"):
                    self._connection.execute(f"PRAGMA {setting}").fetchone()
                for table in _TABLES:
                    self._connection.execute(table)
            except sqlite3.Error:
                self._connection.close()
                raise
            self._folder.cleanup()  # the open file stays, and is gone with the process

    def add(self, rows: Iterable[tuple[str, FormerRow]]) -> None:
        """See :meth:`batcher.ports.RowIndex.add`."""
        self._insert(_ADD, ((_key(id_), *_columns(row)) for id_, row in rows))

    def find(self, ids: Sequence[str]) -> list[FormerRow | None]:
        """See :meth:`batcher.ports.RowIndex.find`."""
        with self._translated():
            execute = self._connection.execute
            found = [execute(_FIND, (_key(id_),)).fetchone() for id_ in ids]
        return [None if row is None else _former(*row) for row in found]

    def keep(self, shard: int, results: Mapping[int, bytes]) -> None:
        """See :meth:`batcher.ports.RowIndex.keep`."""
        self._insert(_KEEP, ((_place(shard, row), value) for row, value in results.items()))

    def kept(self, shard: int, rows: Sequence[int]) -> list[bytes]:
        """See :meth:`batcher.ports.RowIndex.kept`."""
        with self._translated():
            execute = self._connection.execute
            return [execute(_KEPT, (_place(shard, row),)).fetchone()[0] for row in rows]

    def close(self) -> None:
        """See :meth:`batcher.ports.RowIndex.close`."""
        with self._lock:
            self._connection.close()

    def _insert(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._translated():
            self._connection.execute("BEGIN")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """One call at a time; a full disk is said as one."""
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as exc:
            raise StoreError(
                f"rows cannot be compared on disk in {self._directory}: {exc}; see to its space"
            ) from exc


def _key(id_: str) -> int:
    digest = hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _place(shard: int, row: int) -> int:
    return shard << _ROW_BITS | row


def _columns(row: FormerRow) -> tuple[bytes | None, int, bytes | None]:
    if row.place is None:
        return row.content, _NOWHERE, None
    return row.content, _place(*row.place), orjson.dumps([row.tokens, row.spans])


def _former(content: bytes | None, place: int, pieces: bytes | None) -> FormerRow:
    if pieces is None:
        return FormerRow(content=content, place=None)
    tokens, spans = orjson.loads(pieces)
    return FormerRow(
        content=content,
        place=(place >> _ROW_BITS, place & (1 << _ROW_BITS) - 1),
        tokens=tuple(tokens),
        spans=None if spans is None else tuple((start, end) for start, end in spans),
    )
