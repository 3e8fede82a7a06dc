"""Postgres: a few connections, each transaction one call in a thread, tried again as need be.

A transaction begins with locks on shards, in the order of their ids; the row of the job comes
last. Whoever keeps to this order never waits in a circle, and holds the job's row, which all
workers of a job share, for one statement and the commit. Claims skip what is locked, and wait only
where there is nothing else. Writing transactions see each statement's own moment (READ COMMITTED)
and lock what they rely on; reading ones see one moment (REPEATABLE READ); whatever the server's
defaults are.

A transaction that lost a race is tried again at once. Where the server is away, or a lock is not to
be had (while the schema is changed, say), the verb waits, with backoff, up to ``patience_seconds``.
Either way the transaction may have been committed already, its reply lost: so every verb's work,
done again, counts once.

Measured on two shared cores, server included, against a Postgres 18 on loopback without fsync;
CPU of the client for a checkpoint of 1 MB, for one of four shards of short texts, and for reading
a megabyte of results: psycopg in threads 2.1, 1.5 and 0.8 to 2.9 ms; its AsyncConnection by
``run_sync`` 2.2 to 2.7, 1.6 to 2.1 and 1.6 to 2.8; asyncpg likewise 1.9 to 2.3, 1.3 to 2.0 and 0.8
to 1.3, which needs a URL of its own beside alembic's and does not say how many rows an
``executemany`` changed. Results come in binary: as text, reading a megabyte took 7 to 12 ms. The
server itself takes 4 to 7 ms of CPU for a megabyte committed. COPY gained nothing for one to four
rows a commit, and halved the client's part at 64.
"""

from __future__ import annotations

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg import pq
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from batcher.adapters.store.damage import understood
from batcher.adapters.store.postgres.faults import Cure, Fault, diagnose
from batcher.ports import Space

if TYPE_CHECKING:
    from collections.abc import Callable

    from batcher.adapters.store.postgres.address import PostgresAddress
    from batcher.ports import Clock

T = TypeVar("T")

_WRITERS = 4
_READERS = 2
_RACES = 12
_RACE_SECONDS = 0.01
_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0
_EMPTIED = (
    "checkpoint",
    "shard_payload",
    "shard_prompts",
    "shard_hashes",
    "dead_letter",
    "shard",
    "job",
    "job_order",
)
_SIZE = text(
    "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(CAST(:names AS text[])) AS name"
)
_NOW = text("SELECT extract(epoch FROM clock_timestamp())::double precision")
# What libpq does unless the URL says otherwise: notice within half a minute that a peer is gone.
_CONNECTING: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "batcher",
    "client_encoding": "UTF8",
}
# The same of the server: a client that is gone, or stopped, holds no lock for long. And a commit
# that was acknowledged is on disk, whatever the server's default: what was paid for depends on it.
_SESSION = """
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
           WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       set_config('idle_in_transaction_session_timeout', '60s', false),
       set_config('lock_timeout', '30s', false),
       set_config('tcp_keepalives_idle', '10', false),
       set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '3', false)
"""


class PostgresDatabase:
    """One database of a server; see :class:`batcher.adapters.store.database.Database`."""

    def __init__(
        self,
        address: PostgresAddress,
        clock: Clock,
        *,
        patience_seconds: float,
    ) -> None:
        """``clock`` is slept by between two tries; leases go by the server's."""
        self.name = address.name
        self._clock = clock
        self._patience_seconds = patience_seconds
        self._engine = postgres_engine(
            address, size=_WRITERS + _READERS, cursor_factory=_BinaryCursor
        )
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")

    async def read(self, work: Callable[[Connection], T]) -> T:
        """See :meth:`batcher.adapters.store.database.Database.read`."""
        return await self._until_done(self._readers, partial(self._try, self._reading, work))

    async def write(self, work: Callable[[Connection], T]) -> T:
        """See :meth:`batcher.adapters.store.database.Database.write`."""
        return await self._until_done(self._writers, partial(self._try, self._engine, work))

    def now(self, connection: Connection) -> float:
        """See :meth:`batcher.adapters.store.database.Database.now`.

        The time of the call, not of the transaction's beginning: whoever waited for a lock in
        between would judge and grant leases by a moment that has passed.
        """
        return float(connection.scalar(_NOW) or 0.0)

    def room_bytes(self) -> None:
        """See :meth:`.database.Database.room_bytes`: the disk is another machine's."""

    async def give_back(self) -> Space:
        """See :meth:`batcher.ports.JobStore.give_back`: VACUUM, which nobody has to wait for.

        Rows that are gone are written over from then on; what lies at the end of a table goes back
        to the disk. ``VACUUM FULL``, which gives all of it back, locks everybody out.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writers, self._give_back)

    async def close(self) -> None:
        """See :meth:`batcher.adapters.store.database.Database.close`."""
        # Shielded: whoever stops waiting for it must not stop it.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._close))

    async def _until_done(self, threads: ThreadPoolExecutor, attempt: Callable[[], T | Fault]) -> T:
        """Try until it succeeds, or nothing can be hoped for."""
        loop = asyncio.get_running_loop()
        waits = _Waits(self._patience_seconds)
        while True:
            outcome = await loop.run_in_executor(threads, attempt)
            if not isinstance(outcome, Fault):
                return outcome
            seconds = waits.after(outcome.cure, now=self._clock.now())
            if seconds is None:
                raise outcome.error
            await self._clock.sleep(seconds)

    def _try(self, engine: Engine, work: Callable[[Connection], T]) -> T | Fault:
        """One transaction. A driver's error does not leave this function: it may quote a row."""
        try:
            with understood(self.name), engine.begin() as connection:
                return work(connection)
        except SQLAlchemyError as exc:
            return diagnose(exc, self.name)

    def _give_back(self) -> Space:
        try:
            with self._alone.connect() as connection:
                before = connection.scalar(_SIZE, {"names": list(_EMPTIED)}) or 0
                for table in _EMPTIED:
                    connection.exec_driver_sql(f"VACUUM {table}")
                after = connection.scalar(_SIZE, {"names": list(_EMPTIED)}) or 0
        except SQLAlchemyError as exc:
            raise diagnose(exc, self.name).error from None
        return Space(given_back_bytes=max(0, int(before) - int(after)))

    def _close(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        self._engine.dispose()


class _Waits:
    """How long to wait before the next try of one transaction."""

    def __init__(self, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._races = 0
        self._waits = 0
        self._deadline: float | None = None

    def after(self, cure: Cure, *, now: float) -> float | None:
        """Seconds; None where it is time to give up. ``now`` is monotonic."""
        if cure is Cure.AT_ONCE and self._races < _RACES:
            self._races += 1
            return random.uniform(0, _RACE_SECONDS * self._races)
        if cure is not Cure.LATER:
            return None
        if self._deadline is None:
            self._deadline = now + self._patience_seconds
        if now >= self._deadline:
            return None
        longest = min(_FIRST_WAIT_SECONDS * 2.0**self._waits, _LONGEST_WAIT_SECONDS)
        self._waits += 1
        return min(random.uniform(longest / 2, longest), self._deadline - now)


class _BinaryCursor(psycopg.Cursor[Any]):
    """A cursor whose results come as Postgres keeps them, not as text."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.format = pq.Format.BINARY


def postgres_engine(address: PostgresAddress, *, size: int = 1, **more: Any) -> Engine:
    """An engine of at most ``size`` connections, made as they are needed; see :func:`connect`."""
    return create_engine(
        "postgresql+psycopg://",
        creator=partial(connect, address, **more),
        hide_parameters=True,
        pool_size=size,
        max_overflow=0,
        pool_use_lifo=True,
        use_native_hstore=False,
        isolation_level="READ COMMITTED",
    )


def connect(address: PostgresAddress, **more: Any) -> psycopg.Connection[Any]:
    """A connection of the driver, set up for work; ``more`` are its and libpq's options."""
    options = _CONNECTING | address.options | more
    connection: psycopg.Connection[Any] = psycopg.connect(**options, autocommit=True)
    try:
        connection.execute(_SESSION)
        connection.autocommit = False
    except psycopg.Error:
        connection.close()
        raise
    return connection
