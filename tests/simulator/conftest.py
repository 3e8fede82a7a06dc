from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """A provider without limits, with short vectors."""
    async with serve(SimulatorConfig(dimensions=8)) as running:
        yield running
