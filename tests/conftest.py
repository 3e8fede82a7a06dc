"""Real servers that tests anywhere may ask for, each begun when it is first asked for.

And what holds for every test: it closes the databases that it opens. What it leaves open, the
interpreter would report whenever it collects it, as the error of some later test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytest
from hypothesis import HealthCheck, settings

from batcher.adapters.store.sqlite.database import SqliteDatabase
from tests.servers.postgres import database, postgres
from tests.servers.valkey import valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["closes_its_databases", "database", "postgres", "valkey"]

# How long an example takes is the machine's affair: a busy one would fail what is right.
settings.register_profile("gate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gate")


_OPEN: WeakSet[SqliteDatabase] = WeakSet()


def _watch() -> None:
    """Have every SQLite database tell that it is open, and that it is closed."""
    begin, end = SqliteDatabase.__init__, SqliteDatabase._close

    def opened(self: SqliteDatabase, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        _OPEN.add(self)

    def closed(self: SqliteDatabase) -> None:
        _OPEN.discard(self)
        end(self)

    SqliteDatabase.__init__ = opened  # type: ignore[method-assign]
    SqliteDatabase._close = closed  # type: ignore[method-assign]


_watch()


@pytest.fixture(autouse=True)
def closes_its_databases() -> Iterator[None]:
    """A test leaves no database open."""
    before = set(_OPEN)
    yield
    left = [database.name for database in set(_OPEN) - before]
    assert not left, f"left open: {left}"
