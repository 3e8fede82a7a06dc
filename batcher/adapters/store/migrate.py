"""The schema's version: which one a database has, and the steps to the newest.

alembic is imported only where a step is due; a database that is up to date opens without it. All
is synchronous, for threads.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from batcher.adapters.store.database import store_error, translated
from batcher.adapters.store.location import require_local, sqlite_path
from batcher.adapters.store.sqlite import BUSY_SECONDS, PAGE_BYTES, sqlite_engine
from batcher.core.errors import UnusableStore
from migrations import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from alembic.config import Config

_ONE_AT_A_TIME = threading.Lock()  # alembic keeps its context in module globals


def head() -> str:
    """The newest revision that this program knows."""
    return HEAD


def current(url: str) -> str | None:
    """The revision of the database at ``url``; None where it has no schema yet.

    Raises:
        StoreError: it cannot be read, or belongs to another program.
    """
    path = sqlite_path(url)
    return _prepare(path) if path.exists() else None


def upgrade(url: str) -> None:
    """Create the database, or bring it to the newest revision, in one transaction.

    Processes that do so at once wait for each other. A database that is up to date is only read.

    Raises:
        StoreError: it cannot be used, is of a newer version, or belongs to another program.
    """
    path = sqlite_path(url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UnusableStore(
            f"database {path}: its directory cannot be made ({exc.strerror}); name another by --db"
        ) from exc
    require_local(path.parent)
    if _prepare(path) != HEAD:
        step(path, HEAD)


def step(path: Path, revision: str, *, down: bool = False) -> None:
    """Run the steps to ``revision``, up or down, in one transaction."""
    from alembic import command
    from alembic.util import CommandError

    engine = sqlite_engine(path, begin="BEGIN IMMEDIATE")
    try:
        with _ONE_AT_A_TIME, translated(str(path)), engine.begin() as connection:
            config = alembic_config(connection=connection)
            (command.downgrade if down else command.upgrade)(config, revision)
    except CommandError as exc:
        raise UnusableStore(
            f"database {path}: it was written by a newer batcher, or by another program; "
            "upgrade batcher, or name another file by --db"
        ) from exc
    finally:
        engine.dispose()


def alembic_config(**attributes: Any) -> Config:
    """Alembic's configuration, without a file: the steps are in the package ``migrations``."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def _prepare(path: Path) -> str | None:
    """Make the file one with large pages and a WAL, if it is new; return its revision.

    The size of a page is settled by the first write, which is that of the WAL mode.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as raw:
            (tables,) = raw.execute("SELECT count(*) FROM sqlite_master").fetchone()
            revision = _revision(raw, path) if tables else None
            if not tables:
                raw.execute(f"PRAGMA page_size={PAGE_BYTES}")
            (mode,) = raw.execute("PRAGMA journal_mode=WAL").fetchone()
            if mode != "wal":
                raise UnusableStore(f"database {path}: WAL is not possible here; use a local disk")
            return revision
    except sqlite3.Error as exc:
        raise store_error(str(path), exc) from exc


def _revision(raw: sqlite3.Connection, path: Path) -> str | None:
    ours = "SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'"
    if not raw.execute(ours).fetchone()[0]:
        raise UnusableStore(
            f"database {path}: it belongs to another program; name another file with --db"
        )
    row = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])
