"""A database in a file of its own, for the tests that have no other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import open_store
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batcher.ports import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batcher.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    opened = await open_store(str(path), FakeClock())
    yield opened
    await opened.close()
