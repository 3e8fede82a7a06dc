"""The seam below the SQL: who runs a transaction, where, and what its errors mean.

The verbs are written as functions of a SQLAlchemy connection, and handed whole to one of these.
Both run them in threads: :mod:`batcher.adapters.store.sqlite.database` in one that writes,
:mod:`batcher.adapters.store.postgres.database` in a few.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from batcher.adapters.store.damage import damaged, understood
from batcher.core.errors import StoreError, UnusableStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from batcher.ports import Space

T = TypeVar("T")


class Conflict(StoreError):
    """A unique key was taken by somebody else in the meantime."""


class Database(Protocol):
    """One database: short reading and writing transactions, and its clock."""

    name: str

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` on one state of the database; keep it short, or a WAL cannot be reset.

        Raises:
            StoreError: the database cannot be used; the message says what to do.
        """
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run ``work`` in a transaction: committed whole when it returns, nothing when it raises.

        It may be run again, on a server even after a commit whose reply was lost: done twice, it
        must count once. A caller that is cancelled cannot know which. Locks rows or the whole
        database, so that what was read is still true when it is written.

        Raises:
            Conflict: a unique key is taken.
            StoreError: the database cannot be used; the message says what to do.
        """
        ...

    def now(self, connection: Connection) -> float:
        """Unix time by the database's clock, which leases go by."""
        ...

    def room_bytes(self) -> int | None:
        """See :meth:`batcher.ports.Store.room_bytes`."""
        ...

    async def give_back(self) -> Space:
        """See :meth:`batcher.ports.JobStore.give_back`."""
        ...

    async def close(self) -> None:
        """Let what runs end, and close all connections; idempotent."""
        ...


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise what SQLAlchemy raises as a StoreError that says what to do.

    A message quotes neither parameters nor the values of a constraint. What a row raises that
    makes no sense is damage.
    """
    try:
        with understood(name):
            yield
    except IntegrityError as exc:
        raise Conflict(f"database {name}: a unique key is taken") from exc
    except DBAPIError as exc:
        raise store_error(name, exc.orig, exc.statement) from exc
    except SQLAlchemyError as exc:
        raise StoreError(f"database {name}: {type(exc).__name__}") from exc


_REMEDIES = {
    "SQLITE_FULL": "the disk is full: free some space and run again; what was in flight goes again",
    "SQLITE_IOERR": "the disk reports an error: check its space and its health, then run again",
    "SQLITE_NOTADB": "the file is not an SQLite database: name another with --db",
    "SQLITE_BUSY": "another process keeps it locked: stop that one, or run again later",
    "SQLITE_LOCKED": "another process keeps it locked: stop that one, or run again later",
    "SQLITE_READONLY": "the file cannot be written: check its permissions and its directory's",
    "SQLITE_PERM": "the file cannot be written: check its permissions and its directory's",
    "SQLITE_CANTOPEN": "the file cannot be opened: check that its directory is there and yours",
}


_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_IOERR_SHORT_READ", "SQLITE_FORMAT")
_LACKS = re.compile(r"no such (?:table|column|index)|table \w+ has no column")
_NOT_UTF8 = "Could not decode to UTF-8"
_UNUSABLE = ("SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_PERM", "SQLITE_CANTOPEN")


def store_error(name: str, cause: BaseException | None, statement: str | None = None) -> StoreError:
    """What a driver's error means for the user; ``statement`` is what was to be done."""
    code: str = getattr(cause, "sqlite_errorname", None) or ""
    if code.startswith(_DAMAGED):
        return damaged(name, statement, code)
    if code == "SQLITE_ERROR" and _LACKS.match(str(cause)):
        return damaged(name, statement, "it lacks what a statement names")
    if str(cause).startswith(_NOT_UTF8):  # and then it quotes the text
        return damaged(name, statement, "a text is not UTF-8")
    for prefix, remedy in _REMEDIES.items():
        if code.startswith(prefix):
            error = UnusableStore if code.startswith(_UNUSABLE) else StoreError
            return error(f"database {name}: {remedy} ({code})")
    return StoreError(f"database {name}: {cause} ({code or type(cause).__name__})")
