"""SQLite: one writer thread, a few readers, a WAL between them.

Readers and the writer do not wait for each other. Writing transactions run one after the other in
one thread, and begin by ``BEGIN IMMEDIATE``, which waits for another process's end where a read
that turns into a write could not. A transaction is one call in its thread: measured here, that
costs half the CPU of aiosqlite, whose every statement crosses threads four times (600 checkpoints
of 1 MB without a disk: 1.6 against 3.0 s), and a cancelled caller cannot tear it.

Readers whose transactions overlap without a gap keep the WAL from starting anew (400 MB after
500 MB of commits): from 64 MB on, the writer waits until those who read what is older have ended,
and empties it. It waits for a second at most, and then again when the WAL has grown by as much: so
the WAL is bounded by how long the longest read takes, and is not cut while somebody holds one open.

Measured with the sqlite3 module alone, 600 commits of 1 MB with ``synchronous=FULL``, one series on
a shared two-core machine: pages of 4 KiB reached 200 to 300 MB/s, of 16 KiB 458, of 32 KiB 471 to
505; whole blobs were read at 3 to 8 GB/s. 16 KiB is where the gain ends, and a renewed lease still
writes little. Checkpointing the WAL at 16 MB stalled a commit for at most 21 ms, at 64 MB 70 ms,
at the same speed. NORMAL instead of FULL gained a tenth, and would lose results at a power cut. A
memory map gained nothing that matters, and turns a truncated file into a signal. That disk's speed
varies fourfold from minute to minute; run in turn with the bare module, this store commits 60 to
95% of what it does, and 370 to 400 MB/s where the disk is memory.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event

from batcher.adapters.store.damage import understood
from batcher.adapters.store.database import store_error, translated
from batcher.adapters.store.sqlite.space import give_back

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.pool import Pool

    from batcher.ports import Clock, Space

T = TypeVar("T")

PAGE_BYTES = 16_384
WAL_PAGES = (16 << 20) // PAGE_BYTES
WAL_BYTES_KEPT = 64 << 20
BUSY_SECONDS = 30.0
_READERS = 4
TRIM_MILLISECONDS = 1_000
_SETTINGS = (
    "synchronous=FULL",
    "foreign_keys=ON",
    f"wal_autocheckpoint={WAL_PAGES}",
    f"journal_size_limit={WAL_BYTES_KEPT}",
)


class SqliteDatabase:
    """One SQLite file; see :class:`batcher.adapters.store.database.Database`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        """``clock`` is the database's: SQLite has none, and its processes share a machine."""
        self.name = str(path)
        self._clock = clock
        self._wal = path.with_name(path.name + "-wal")
        self._bound_bytes = WAL_BYTES_KEPT
        self._writer = sqlite_engine(path, begin="BEGIN IMMEDIATE", settings=_SETTINGS, size=1)
        self._reader = sqlite_engine(path, settings=("query_only=ON",), size=_READERS)
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self._reader_threads = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        self._former_pools: list[Pool] = []

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See :meth:`batcher.adapters.store.database.Database.read`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader_threads, partial(self._read, work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See :meth:`batcher.adapters.store.database.Database.write`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer_thread, partial(self._write, work))

    def now(self, connection: Connection) -> float:
        """See :meth:`batcher.adapters.store.database.Database.now`."""
        del connection
        return self._clock.wall()

    def room_bytes(self) -> int | None:
        """See :meth:`batcher.adapters.store.database.Database.room_bytes`."""
        try:
            return shutil.disk_usage(self._wal.parent).free
        except OSError:
            return None

    async def give_back(self) -> Space:
        """See :meth:`batcher.ports.JobStore.give_back`.

        In the thread that writes; readers open their connections again when they need them.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer_thread, self._give_back)

    async def close(self) -> None:
        """See :meth:`batcher.adapters.store.database.Database.close`."""
        # Shielded: whoever stops waiting for it must not stop it.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    def _read(self, work: Callable[[Connection], T]) -> T:
        with translated(self.name), self._reader.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with translated(self.name):
            with self._writer.begin() as connection:
                result = work(connection)
            self._bound_wal()
        return result

    def _give_back(self) -> Space:
        self._former_pools.append(
            self._reader.pool
        )  # who reads now gives his connection back there
        self._reader.dispose()
        self._writer.dispose()
        try:
            with understood(self.name):
                return give_back(Path(self.name))
        except sqlite3.Error as exc:
            raise store_error(self.name, exc) from exc

    def _bound_wal(self) -> None:
        """Empty the WAL where readers that overlap have kept commits from starting it anew.

        This waits for the transactions of readers, which are short; one that is not delays a
        commit by a second each time that the WAL has grown by as much again.
        """
        wal_bytes = self._wal_bytes()
        if wal_bytes < self._bound_bytes:
            return
        with closing(self._writer.raw_connection()) as connection:
            driver: Any = connection.driver_connection
            try:
                driver.execute(f"PRAGMA busy_timeout={TRIM_MILLISECONDS}")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error:  # what was to be written is: the next commit will say the rest
                pass
            finally:
                driver.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1_000)}")
        self._bound_bytes = self._wal_bytes() + WAL_BYTES_KEPT

    def _wal_bytes(self) -> int:
        try:
            return self._wal.stat().st_size
        except OSError:
            return 0

    def _close(self) -> None:
        self._writer_thread.shutdown()
        self._reader_threads.shutdown()
        for pool in self._former_pools:
            pool.dispose()
        self._reader.dispose()
        self._writer.dispose()


def sqlite_engine(
    path: Path, *, begin: str = "BEGIN", settings: tuple[str, ...] = (), size: int = 1
) -> Engine:
    """An engine on the file, of at most ``size`` connections, whose transactions begin as said.

    The driver's own beginnings are off: it would begin late, before the first write. Parameters
    never appear in errors or logs: they are the rows' content.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={
            "isolation_level": None,
            "timeout": BUSY_SECONDS,
            "check_same_thread": False,
        },
        hide_parameters=True,
        pool_size=size,
        max_overflow=0,
        pool_use_lifo=True,
    )

    def configure(dbapi_connection: Any, record: object) -> None:
        del record
        for setting in settings:
            dbapi_connection.execute(f"PRAGMA {setting}")

    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", configure)
    event.listen(engine, "begin", begun)
    return engine
