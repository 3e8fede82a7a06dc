"""A database and a Valkey of each test's own."""

from __future__ import annotations

import pytest

from batcher.adapters.store import migrate
from batcher.settings import Settings
from tests.fleet.harness import LEASE_SECONDS
from tests.servers.postgres import PostgresServer, database, postgres
from tests.servers.valkey import ValkeyServer, valkey

__all__ = ["database", "postgres", "valkey"]


@pytest.fixture
def settings(postgres: PostgresServer, database: str, valkey: ValkeyServer) -> Settings:
    """Where the fleet's things are."""
    url = postgres.url(database)
    migrate.upgrade(url)
    valkey.empty()
    return Settings(database_url=url, redis_url=valkey.url, lease_seconds=LEASE_SECONDS)
