"""One run a job on a whole server: an advisory lock, held by a connection of its own.

The lock ends with its session, and the session with its process: the server learns of a process'
death at once, of a machine's within half a minute. So who obtains it knows that the former run is
dead, and that its leases may be taken at once, as with the file lock beside an SQLite database.

A session does not outlive the server. The lock is then taken again as soon as there is one; where
another run was quicker, both work on the job, and the fences decide who writes. A pooler must keep
sessions apart (PgBouncer: ``pool_mode=session``).
"""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

from batcher.adapters.store.postgres.database import connect
from batcher.adapters.store.postgres.faults import first_line
from batcher.core.errors import JobInUse, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batcher.adapters.store.postgres.address import PostgresAddress

LOOK_SECONDS = 10.0
"""How often the lock's connection is looked after."""

_NAME = "batcher run "
_TRIES = 4
_TRY_AGAIN_SECONDS = 0.1
_TRY = "SELECT pg_try_advisory_lock(%s::bigint)"
_OWNER = """
SELECT coalesce(client_addr::text, '') AS place, application_name
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND (classid::bigint << 32) | objid::bigint = %s::bigint
"""


@contextmanager
def postgres_job_lock(address: PostgresAddress, job_id: str) -> Iterator[None]:
    """Hold the job's lock.

    Raises:
        JobInUse: another run holds it; the message names that process.
        StoreError: the server cannot be asked.
    """
    lock = _Lock(address, job_id)
    try:
        lock.take()
        keeper = threading.Thread(target=lock.keep, name=f"lock {job_id}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            lock.ended.set()
            keeper.join(1)
    finally:
        lock.close()


class _Lock:
    """The lock of one job, and the connection whose session holds it."""

    def __init__(self, address: PostgresAddress, job_id: str) -> None:
        self.ended = threading.Event()
        self._address = address
        self._job_id = job_id
        digest = hashlib.sha256(f"batcher run {job_id}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        self._connection: psycopg.Connection[Any] | None = None
        self._is_held = False

    def take(self) -> None:
        """Take the lock; an owner who has just died is given a moment to be noticed."""
        try:
            for attempt in range(_TRIES):
                if attempt:
                    time.sleep(_TRY_AGAIN_SECONDS)
                if self._try():
                    return
            owner = self._owner()
        except psycopg.Error as exc:
            what = first_line(exc)
            raise StoreError(
                f"database {self._address.name}: the lock cannot be taken: {what}"
            ) from None
        raise JobInUse(
            f"job {self._job_id} is being run by process {owner}: wait for it, or end it first"
        )

    def keep(self) -> None:
        """Look after the lock until it is over."""
        while not self.ended.wait(LOOK_SECONDS):
            try:
                if not self._is_held:
                    self._try()
                elif self._connection is not None:
                    self._connection.execute("SELECT 1")
            except psycopg.Error:
                self.close()

    def close(self) -> None:
        """Let go of it."""
        self._is_held = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self) -> bool:
        if self._connection is None:
            name = f"{_NAME}{socket.gethostname()[:30]}:{os.getpid()}"
            self._connection = connect(self._address, application_name=name)
            self._connection.autocommit = True
        (taken,) = self._connection.execute(_TRY, [self._key]).fetchone() or (False,)
        self._is_held = bool(taken)
        return self._is_held

    def _owner(self) -> str:
        assert self._connection is not None
        place, name = self._connection.execute(_OWNER, [self._key]).fetchone() or ("", "")
        if str(name).startswith(_NAME):
            return str(name).removeprefix(_NAME)
        return f"another ({place})" if place else "another"
