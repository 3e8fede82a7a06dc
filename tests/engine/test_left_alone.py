"""What is left alone is, until its time is over."""

from __future__ import annotations

from batcher.engine.left_alone import LeftAlone
from tests.fakes import FakeClock


async def test_each_is_left_alone_until_its_own_time() -> None:
    clock = FakeClock()
    left_alone = LeftAlone(clock)
    left_alone.add("a", 10.0)
    await clock.advance(5.0)
    left_alone.add("b", 10.0)
    await clock.advance(4.999)
    assert ("a" in left_alone, "b" in left_alone, "c" in left_alone) == (True, True, False)
    await clock.advance(0.001)
    assert ("a" in left_alone, "b" in left_alone) == (False, True)


async def test_one_that_fails_again_is_left_alone_from_then_on() -> None:
    clock = FakeClock()
    left_alone = LeftAlone(clock)
    left_alone.add("a", 10.0)
    await clock.advance(9.0)
    left_alone.add("a", 10.0)
    await clock.advance(9.0)
    assert "a" in left_alone
    await clock.advance(1.0)
    assert "a" not in left_alone
    assert repr(left_alone) == "<LeftAlone 0>"
