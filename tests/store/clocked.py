"""A Postgres whose clock is a test's: its ``clock_timestamp()`` stands until the test moves it.

The statements of the store are run as they are. The connection's search path has a schema before
Postgres' own, and in that schema a function of the same name.
"""

from __future__ import annotations

from psycopg import sql

from batcher.adapters.store import migrate
from tests.fakes import FakeClock
from tests.servers.postgres import PostgresServer

_CLOCKWORK = """
CREATE SCHEMA clockwork;
CREATE TABLE clockwork.present (wall double precision NOT NULL);
INSERT INTO clockwork.present VALUES (0);
CREATE FUNCTION clockwork.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT to_timestamp(wall) FROM clockwork.present';
"""
_CLEAN = (
    "TRUNCATE job, shard, shard_payload, shard_prompts, shard_hashes, checkpoint, dead_letter,"
    " worker, job_order, schedule, delivery"
    " RESTART IDENTITY"
)


class ClockedPostgres:
    """One migrated database, used by one test after another."""

    def __init__(self, server: PostgresServer) -> None:
        name = server.database()
        migrate.upgrade(server.url(name))
        self.url = f"{server.url(name)}?options=-csearch_path%3Dclockwork,public,pg_catalog"
        self._control = server.connect(name)
        self._control.execute(_CLOCKWORK)

    def begin(self, clock: FakeClock) -> str:
        """Empty the database and let it go by ``clock``; returns its URL."""
        self._control.execute(_CLEAN)
        self._set(clock.wall())
        clock.watch(self._set)
        return self.url

    def close(self) -> None:
        self._control.close()

    def _set(self, wall: float) -> None:
        self._control.execute(sql.SQL("UPDATE clockwork.present SET wall = %s"), [wall])
