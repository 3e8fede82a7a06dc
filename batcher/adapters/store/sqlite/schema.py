"""The schema of an SQLite file, which is made and brought up to date by whoever opens it."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from batcher.adapters.store.damage import damaged, understood
from batcher.adapters.store.database import store_error, translated
from batcher.adapters.store.location import is_there, require_local
from batcher.adapters.store.sqlite.database import BUSY_SECONDS, PAGE_BYTES, sqlite_engine
from batcher.adapters.system.private_files import make_database, make_folder
from batcher.core.errors import UnusableStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection


_VERSION = "alembic_version"
_REVISION = "SELECT version_num FROM alembic_version"


class SqliteSchema:
    """What :mod:`batcher.adapters.store.migrate` needs of an SQLite file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def prepare(self) -> None:
        """Make the directory, and the file one with large pages and a WAL, if it is new.

        The size of a page is settled by the first write, which is that of the WAL mode.

        Raises:
            UnusableStore: it cannot be made, or SQLite is not safe there.
        """
        try:
            make_folder(self._path.parent)
        except OSError as exc:
            raise UnusableStore(
                f"database {self.name}: its directory cannot be made ({exc.strerror}); "
                "name another with --db"
            ) from exc
        require_local(self._path.parent)
        try:
            try:
                make_database(self._path)
            except FileNotFoundError:  # another process has just removed a directory of its own
                make_folder(self._path.parent)
                make_database(self._path)
        except OSError as exc:
            raise UnusableStore(
                f"database {self.name}: it cannot be made ({exc.strerror}); name another with --db"
            ) from exc
        with self._raw() as raw:
            if not _tables(raw):
                raw.execute(f"PRAGMA page_size={PAGE_BYTES}")
                raw.execute("PRAGMA auto_vacuum=INCREMENTAL")
            (mode,) = raw.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise UnusableStore(
                    f"database {self.name}: WAL is not possible here; use a local disk"
                )

    def revision(self) -> str | None:
        """The revision; None where there is no file, or no schema in it yet.

        Raises:
            StoreError: it cannot be read, or belongs to another program.
        """
        if not is_there(self._path):
            return None
        if not self._path.is_file():
            raise UnusableStore(
                f"database {self.name}: it cannot be opened: it is not a file; name one with --db"
            )
        with self._raw() as raw:
            tables = _tables(raw)
            if not tables:
                return None
            row = raw.execute(_REVISION).fetchone() if _VERSION in tables else None
            # Whoever uses alembic has its table, and revisions are named alike everywhere.
            ours = _VERSION in tables and ("job" in tables or (tables == {_VERSION} and not row))
            if not ours:
                raise UnusableStore(
                    f"database {self.name}: it belongs to another program; "
                    "name another file with --db"
                )
            if row is None and "job" in tables:
                raise damaged(self.name, _REVISION, "no revision stands in it")
            return None if row is None else str(row[0])

    def make_new(self, newest: Sequence[str]) -> bool:
        """See :class:`batcher.adapters.store.migrate.Schema`: in one transaction.

        Raises:
            StoreError: it cannot be written.
        """
        with self._raw() as raw:
            raw.execute("BEGIN IMMEDIATE")
            if _tables(raw):  # another process was quicker, or alembic has begun here once
                return False
            for statement in newest:
                raw.execute(statement)
            raw.execute("COMMIT")
        return True

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See :meth:`batcher.adapters.store.migrate.Schema.transaction`."""
        engine = sqlite_engine(self._path, begin="BEGIN IMMEDIATE")
        try:
            with translated(self.name), engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None)
            with closing(connection) as raw, understood(self.name):
                yield raw
        except sqlite3.Error as exc:
            raise store_error(self.name, exc) from exc


def _tables(raw: sqlite3.Connection) -> set[str]:
    """The names of what is in the file, indexes among them."""
    names = raw.execute(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return {str(name) for (name,) in names}
