"""The real Postgres of :mod:`scripts.servers`, for tests: skipped where there is no wheel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scripts.servers.postgres import PASSWORD, NoBinary, PostgresServer, postgres_server

__all__ = ["PASSWORD", "PostgresServer", "database", "postgres", "postgres_server"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of this process; start it again where a test has stopped it."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgres_server())
        except NoBinary as missing:
            pytest.skip(str(missing))
        yield server


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """An empty database of the test's own, by name."""
    name = postgres.database()
    yield name
    postgres.drop(name)
