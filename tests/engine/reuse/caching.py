"""A cache of results across jobs, in the same database: small, but filled and read as one would be.

It is filled in the transaction of each checkpoint, and keeps whole answers alone. Of a row that was
cut it has every piece, or nothing to give.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from batcher.adapters.store import open_store
from batcher.adapters.store.sql.store import SqlStore
from batcher.adapters.system.clock import SystemClock
from batcher.core.kind import Shape
from batcher.engine.runner import Runner
from batcher.engine.shards.results import join_results
from batcher.ports import AnsweredPiece, AskedRow, CallNeeded, Reused

TABLE = (
    "CREATE TABLE IF NOT EXISTS kept_answer (content BLOB, chunk INTEGER, chunks INTEGER, "
    "start INTEGER, stop INTEGER, tokens INTEGER, result BLOB, PRIMARY KEY (content, chunk))"
)
KEEP = "INSERT OR IGNORE INTO kept_answer VALUES (?, ?, ?, ?, ?, ?, ?)"
FIND = (
    "SELECT chunks, start, stop, tokens, result FROM kept_answer WHERE content = ? ORDER BY chunk"
)


class Found(NamedTuple):
    """One piece of a row as it is kept."""

    chunks: int
    start: int | None
    stop: int | None
    tokens: int
    result: bytes


@dataclass(frozen=True)
class CachedLookup:
    """Looks rows up by their contents, here or in another process."""

    connection: sqlite3.Connection
    path: str
    shape: Shape

    def find(self, content: Hashable) -> list[Found]:
        """All pieces of a row with that content; none where any is missing."""
        found = [Found(*row) for row in self.connection.execute(FIND, (content,))]
        return found if found and len(found) == found[0].chunks else []

    def decide(self, rows: Sequence[AskedRow]) -> list[Reused | CallNeeded]:
        found = [self.find(row.content) for row in rows]
        return [
            _reused(row.content, pieces) if pieces else CallNeeded.NEW
            for row, pieces in zip(rows, found, strict=True)
        ]

    async def results(self, places: Sequence[Hashable]) -> list[bytes]:
        found = [self.find(place) for place in places]
        return [join_results(self.shape, [piece.result for piece in pieces]) for pieces in found]

    def portable(self) -> CachedElsewhere:
        return CachedElsewhere(self.path, self.shape)


def _reused(content: bytes | None, pieces: Sequence[Found]) -> Reused:
    spans = [(each.start, each.stop) for each in pieces if each.start is not None]
    cut = tuple((start, stop) for start, stop in spans if stop is not None)
    return Reused(content, tuple(each.tokens for each in pieces), cut or None)


@dataclass(frozen=True)
class CachedElsewhere:
    """The path of the database is all that another process needs."""

    path: str
    shape: Shape

    @contextmanager
    def opened(self) -> Iterator[CachedLookup]:
        with closing(sqlite3.connect(self.path, check_same_thread=False)) as connection:
            yield CachedLookup(connection, self.path, self.shape)


@dataclass
class Cache:
    """Keeps whole answers in the database of the jobs; a strategy of reuse, too."""

    path: str
    shape: Shape
    keeps_answers: bool = True
    told: list[AnsweredPiece] = field(default_factory=list)

    def keep(self, connection: Connection, answered: Sequence[AnsweredPiece]) -> None:
        self.told += answered
        connection.exec_driver_sql(TABLE)
        whole = [
            (
                one.content,
                one.chunk,
                one.chunks,
                *(one.span or (None, None)),
                one.tokens,
                one.result,
            )
            for one in answered
            if one.is_whole
        ]
        if whole:
            connection.exec_driver_sql(KEEP, whole)

    @asynccontextmanager
    async def opened(
        self, tick: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[CachedLookup | None]:
        with closing(sqlite3.connect(self.path, check_same_thread=False)) as connection:
            connection.execute(TABLE)
            yield CachedLookup(connection, self.path, self.shape)


async def make_database(path: Path) -> None:
    """Make the file, which a runner would leave to its first job."""
    await (await open_store(str(path), SystemClock())).close()


def with_cache(runner: Runner, database: Path, shape: Shape) -> tuple[Runner, Cache]:
    """The same runner over the same database, whose jobs fill a cache there and read it."""
    services = runner._services
    assert isinstance(services.store, SqlStore)
    cache = Cache(str(database), shape)
    store = SqlStore(services.store._database, cache.keep)
    return Runner(replace(services, store=store, strategies=(cache,))), cache
