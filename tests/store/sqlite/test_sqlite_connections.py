"""Every connection to an SQLite file is closed by whoever opened it, and not by chance."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from batcher.adapters.store import migrate
from batcher.adapters.store.sqlite.database import SqliteDatabase
from tests.fakes import FakeClock
from tests.waiting import PATIENCE_SECONDS


async def test_a_read_that_goes_on_while_space_is_given_back_leaves_nothing_open(
    tmp_path: Path,
) -> None:
    path = tmp_path / "batcher.db"
    migrate.upgrade(str(path))
    database = SqliteDatabase(path, FakeClock())
    began, go_on = threading.Event(), threading.Event()

    def read(connection: Connection) -> sqlite3.Connection:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        began.set()
        go_on.wait(PATIENCE_SECONDS)
        return raw

    reading = asyncio.ensure_future(database.read(read))
    assert await asyncio.to_thread(began.wait, PATIENCE_SECONDS)
    giving = asyncio.ensure_future(database.give_back())
    await asyncio.sleep(0.05)  # it may wait for the reader, or not
    go_on.set()
    raw = await reading
    await giving
    await database.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        raw.execute("SELECT 1")
