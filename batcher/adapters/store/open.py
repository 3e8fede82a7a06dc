"""Opening a store: the one door to this package."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import TYPE_CHECKING, cast

from batcher.adapters.store.location import MEMORY, is_there, require_local, sqlite_path
from batcher.adapters.store.postgres.address import PostgresAddress, is_postgres
from batcher.core.errors import NoDatabase

if TYPE_CHECKING:
    from batcher.adapters.store.database import Database
    from batcher.ports import Clock, Store

PATIENCE_SECONDS = 300.0
"""How long a server that is away is waited for, unless told otherwise."""


def deferred_store(
    url: str, clock: Clock, *, patience_seconds: float = PATIENCE_SECONDS
) -> Store | None:
    """A store that makes its SQLite file when the first verb needs it; None where one is there.

    None, too, where none could be made: :func:`open_store` says why.

    Raises:
        UsageError: the URL names no database.
        UnusableStore: SQLite is not safe there.
    """
    if url == MEMORY or is_postgres(url) or is_there(path := sqlite_path(url)):
        return None
    above = next((folder for folder in path.parents if is_there(folder)), path)
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        return None
    require_local(above)
    from batcher.adapters.store.deferred import DeferredStore

    opened = partial(open_store, url, clock, patience_seconds=patience_seconds)
    return cast("Store", DeferredStore(opened, partial(is_there, path)))


async def open_store(
    url: str, clock: Clock, *, create: bool = True, patience_seconds: float = PATIENCE_SECONDS
) -> Store:
    """The store at ``url``. An SQLite file is brought to the newest schema.

    Args:
        url: ``sqlite:///PATH`` or a plain path (its directory is made), ``postgresql://…``, or
            ``memory://``.
        clock: what leases expire by, where the database has no clock of its own.
        create: make an SQLite file that is not there.
        patience_seconds: how long a verb waits for a Postgres that has gone away. The first
            connection is not waited for.

    Raises:
        UsageError: the URL names no database.
        NoDatabase: there is no such file, and none is to be made.
        StoreError: it cannot be used, or a Postgres is not at the newest schema; the message says
            what to do.
    """
    if url == MEMORY:
        from batcher.adapters.store.memory.store import MemoryStore

        return MemoryStore(clock)

    from batcher.adapters.store import migrate
    from batcher.adapters.store.sql.store import SqlStore

    database: Database
    if is_postgres(url):
        address = PostgresAddress.parse(url)
        await asyncio.to_thread(migrate.require_head, url)
        from batcher.adapters.store.postgres.database import PostgresDatabase

        database = PostgresDatabase(address, clock, patience_seconds=patience_seconds)
    else:
        path = sqlite_path(url)
        if not create and not is_there(path):
            raise NoDatabase(
                f"there is no database {path}: `batcher run` makes one; --db names another"
            )
        await asyncio.to_thread(migrate.upgrade, str(path))
        from batcher.adapters.store.sqlite.database import SqliteDatabase

        database = SqliteDatabase(path, clock)
    return SqlStore(database)
