"""Opening a store: the one door to this package."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from batcher.adapters.store.location import MEMORY, sqlite_path

if TYPE_CHECKING:
    from batcher.ports import Clock, Store


async def open_store(url: str, clock: Clock) -> Store:
    """The store at ``url``, made and brought to the newest schema where need be.

    Args:
        url: ``sqlite:///PATH`` or a plain path (its directory is made), or ``memory://``.
        clock: what leases expire by, where the database has no clock of its own.

    Raises:
        UsageError: the URL names no database.
        StoreError: it cannot be used; the message says what to do.
    """
    if url == MEMORY:
        from batcher.adapters.store.memory import MemoryStore

        return MemoryStore(clock)

    from batcher.adapters.store import migrate
    from batcher.adapters.store.sql import SqlStore
    from batcher.adapters.store.sqlite import SqliteDatabase

    path = sqlite_path(url)
    await asyncio.to_thread(migrate.upgrade, str(path))
    return SqlStore(SqliteDatabase(path, clock))
