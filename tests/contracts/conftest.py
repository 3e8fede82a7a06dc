"""Every adapter of a port that has more than one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import open_store
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from batcher.ports import Store


@pytest.fixture
def fake_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, fake_clock: FakeClock
) -> AsyncIterator[Store]:
    """An empty store whose leases go by ``fake_clock``."""
    urls = {"memory": "memory://", "sqlite": f"sqlite:///{tmp_path}/state/batcher.db"}
    opened = await open_store(urls[request.param], fake_clock)
    yield opened
    await opened.close()
