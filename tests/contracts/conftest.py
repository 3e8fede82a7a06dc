"""Every adapter of a port that has more than one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import open_store
from tests.fakes import FakeClock
from tests.store.clocked import ClockedPostgres

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from batcher.ports import Store
    from tests.servers.postgres import PostgresServer


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def clocked_postgres(postgres: PostgresServer) -> Iterator[ClockedPostgres]:
    clocked = ClockedPostgres(postgres)
    yield clocked
    clocked.close()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, fake_clock: FakeClock) -> str:
    """An empty database of each kind, whose leases go by ``fake_clock``."""
    if request.param == "postgres":
        clocked: ClockedPostgres = request.getfixturevalue("clocked_postgres")
        return clocked.begin(fake_clock)
    return {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/state/batcher.db"}[
        request.param
    ]


@pytest.fixture
async def store(url: str, fake_clock: FakeClock) -> AsyncIterator[Store]:
    """An empty store whose leases go by ``fake_clock``."""
    opened = await open_store(url, fake_clock)
    yield opened
    await opened.close()
