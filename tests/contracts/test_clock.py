"""What every clock promises (`batcher.ports.Clock`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.system.clock import SystemClock
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from batcher.ports import Clock


@pytest.fixture(params=["system", "fake"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else FakeClock()


async def test_time_never_goes_back(clock: Clock) -> None:
    before = clock.now()
    await clock.sleep(0)
    assert clock.now() >= before
    assert clock.wall() > 1_600_000_000


async def test_no_sleep_still_yields(clock: Clock) -> None:
    seen: list[str] = []
    task = asyncio.create_task(_note(seen))
    await clock.sleep(-1)
    await clock.sleep(0)
    assert seen == ["ran"]
    await task


async def _note(seen: list[str]) -> None:
    seen.append("ran")


async def test_sleepers_of_a_fake_clock_wake_in_order() -> None:
    clock = FakeClock()
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *seconds: float) -> None:
        for each in seconds:
            await clock.sleep(each)
            woken.append((name, clock.now() - 1000))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("a", 3, 1))
        group.create_task(sleeper("b", 1, 1, 1))
        group.create_task(sleeper("c", 3))
        await clock.advance(3)
        assert clock.sleeping == 1
        await clock.advance(1)
    assert woken == [("b", 1), ("b", 2), ("a", 3), ("c", 3), ("b", 3), ("a", 4)]


def test_repr() -> None:
    assert repr(SystemClock()) == "<SystemClock>"
    assert repr(FakeClock()) == "<FakeClock 1000, 0 sleeping>"
