"""The schema of a Postgres: never changed unasked, and by one at a time.

The tables stand in the first schema of the connection's search path, which a URL may set:
``?options=-csearch_path%3Dbatcher``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text
from sqlalchemy.exc import SQLAlchemyError

from batcher.adapters.store.postgres.database import postgres_engine
from batcher.adapters.store.postgres.faults import diagnose, first_line, is_away
from batcher.adapters.store.sql.tables import METADATA
from batcher.core.errors import UnusableStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from batcher.adapters.store.postgres.address import PostgresAddress
    from batcher.core.errors import StoreError

_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(7013202640019158349)")  # a number like any
_HAS_VERSION = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_VERSION = text("SELECT version_num FROM alembic_version")
_PATIENTLY = text("SET LOCAL lock_timeout = 0")


class PostgresSchema:
    """What :mod:`batcher.adapters.store.migrate` needs of a Postgres."""

    def __init__(self, address: PostgresAddress) -> None:
        self.name = address.name
        self._address = address

    def prepare(self) -> None:
        """A server makes its databases itself."""

    def revision(self) -> str | None:
        """The revision; None where there is no schema yet.

        Raises:
            UnusableStore: it cannot be reached, or its tables are another program's.
        """
        with self._engine() as engine, engine.connect() as connection:
            # Tables first: who sees another one's new tables then sees their revision, too.
            taken = set(inspect(connection).get_table_names()) & set(METADATA.tables)
            if connection.scalar(_HAS_VERSION):
                found = connection.scalar(_VERSION)
                return None if found is None else str(found)
            if taken:
                raise UnusableStore(
                    f"database {self.name}: a table {min(taken)!r} of another program is in the "
                    "way; name another database, or a schema: ?options=-csearch_path%3DSCHEMA"
                )
            return None

    def make_new(self, newest: Sequence[str]) -> bool:
        """No: a server's schema is made step by step, by ``batcher db upgrade`` alone."""
        del newest
        return False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """See :meth:`batcher.adapters.store.migrate.Schema.transaction`."""
        with self._engine() as engine, engine.begin() as connection:
            connection.execute(_PATIENTLY)
            connection.execute(_ONE_AT_A_TIME)
            yield connection

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        engine = postgres_engine(self._address)
        try:
            yield engine
        except SQLAlchemyError as exc:
            raise _error(exc, self.name) from None
        finally:
            engine.dispose()


def _error(error: SQLAlchemyError, name: str) -> StoreError:
    """What it means when a database is looked at for the first time."""
    fault = diagnose(error, name)
    cause = getattr(error, "orig", None)
    if is_away(cause):
        what = first_line(cause)
    elif getattr(cause, "sqlstate", None) is None:  # libpq itself, or the driver
        what = "an option of its URL is wrong"
    else:
        return fault.error
    return UnusableStore(f"database {name} cannot be used: {what}; check --db, and the server")
