"""Transactions on one database: who may write, what time it is there, what its errors mean.

SQLite runs in WAL mode, so that readers and the writer do not wait for each other. There is one
writer: within the process by a lock, between processes by ``BEGIN IMMEDIATE``, which waits for the
other's end where a read that turns into a write could not.

Measured on two cores and a disk that takes 366 MB/s (600 commits of 1 MB with
``synchronous=FULL``, sqlite3 alone): pages of 4 KiB reach 200 to 300 MB/s, of 16 KiB 458, of
32 KiB 471 to 505; reading whole blobs runs at 3 to 8 GB/s. 16 KiB is where the gain ends, and a
renewed lease still writes little. Checkpointing the WAL at 16 MB stalls a commit for at most
21 ms, at 64 MB for 70 ms, at the same speed. NORMAL instead of FULL gains a tenth, and would
lose results at a power cut. A memory map gains nothing that matters, and turns a truncated file
into a signal.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from batcher.core.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from batcher.ports import Clock

PAGE_BYTES = 16_384
WAL_PAGES = (16 << 20) // PAGE_BYTES
WAL_BYTES_KEPT = 64 << 20
BUSY_SECONDS = 30.0

_PRAGMAS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    f"wal_autocheckpoint={WAL_PAGES}",
    f"journal_size_limit={WAL_BYTES_KEPT}",
)


class Conflict(StoreError):
    """A unique key was taken by somebody else in the meantime."""


class Database:
    """One database: short reading and writing transactions, and its clock."""

    def __init__(self, engine: AsyncEngine, clock: Clock, *, name: str) -> None:
        """``name`` is what messages call the database: a path, or a URL without its password."""
        self.name = name
        self._engine = engine
        self._writer = engine.execution_options(batcher_writes=True)
        self._turn = asyncio.Lock()
        self._clock = clock

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that sees one state of the database; keep it short, or the WAL grows."""
        with translated(self.name):
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits at the end of the block, or changes nothing."""
        with translated(self.name):
            async with self._turn, self._writer.begin() as connection:
                yield connection

    async def now(self, connection: AsyncConnection) -> float:
        """Unix time by the database's clock, which leases go by.

        SQLite has none of its own: its processes share a machine, and so the machine's. A server
        will be asked over ``connection``.
        """
        del connection
        return self._clock.wall()

    async def close(self) -> None:
        """Close all connections; idempotent."""
        with translated(self.name):
            await self._engine.dispose()


def sqlite_engine(path: str) -> AsyncEngine:
    """An engine on the SQLite file at ``path``, with the pragmas and transactions of this module.

    Parameters never appear in its errors or logs: they are the rows' content.
    """
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=path),
        connect_args={"isolation_level": None, "timeout": BUSY_SECONDS},
        hide_parameters=True,
        pool_size=4,
        max_overflow=16,
        pool_use_lifo=True,
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", sqlite_begin)
    return engine


def _configure(dbapi_connection: Any, record: object) -> None:
    del record
    cursor = dbapi_connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def sqlite_begin(connection: Connection) -> None:
    """Begin as the engine's options say: to read, or at once to write."""
    writes = connection.get_execution_options().get("batcher_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


_REMEDIES = {
    "SQLITE_FULL": "the disk is full: free some space and run again, nothing is lost",
    "SQLITE_IOERR": "the disk reports an error: check its space and its health, then run again",
    "SQLITE_CORRUPT": "the file is damaged: restore a copy, or start anew with another --db",
    "SQLITE_NOTADB": "the file is no SQLite database: name another with --db",
    "SQLITE_BUSY": "another process holds it for too long: end that one, or run again later",
    "SQLITE_LOCKED": "another process holds it for too long: end that one, or run again later",
    "SQLITE_READONLY": "the file cannot be written: check its permissions and its directory's",
    "SQLITE_PERM": "the file cannot be written: check its permissions and its directory's",
    "SQLITE_CANTOPEN": "the file cannot be opened: check that its directory is there and yours",
}


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what the database and its driver raise as a StoreError that says what to do.

    A message quotes neither statements' parameters nor constraints' values.
    """
    try:
        yield
    except IntegrityError as exc:
        raise Conflict(f"database {name}: a unique key is taken") from exc
    except DBAPIError as exc:
        raise store_error(name, exc.orig) from exc
    except SQLAlchemyError as exc:
        raise StoreError(f"database {name}: {type(exc).__name__}") from exc


def store_error(name: str, cause: BaseException | None) -> StoreError:
    """What a driver's error means for the user."""
    code: str = getattr(cause, "sqlite_errorname", None) or ""
    for prefix, remedy in _REMEDIES.items():
        if code.startswith(prefix):
            return StoreError(f"database {name}: {remedy} ({code})")
    return StoreError(f"database {name}: {cause} ({code or type(cause).__name__})")
