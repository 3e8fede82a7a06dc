"""Reading ahead: as far as it may, in order, and to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from batcher.engine.delivery.read_ahead import ahead


class Numbers:
    """Numbers from 0; tells how many were read, and whether reading was closed."""

    def __init__(self, *, until: int, error: Exception | None = None) -> None:
        self.read = 0
        self.closed = False
        self._until = until
        self._error = error

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            while self.read < self._until:
                self.read += 1
                yield self.read - 1
                await asyncio.sleep(0)
            if self._error is not None:
                raise self._error
        finally:
            self.closed = True


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_all_values_come_in_order() -> None:
    assert [n async for n in ahead(Numbers(until=100)(), 3)] == list(range(100))
    assert [n async for n in ahead(Numbers(until=0)(), 3)] == []


@pytest.mark.parametrize("most", [1, 2, 5])
async def test_no_more_are_read_than_may_wait(most: int) -> None:
    numbers = Numbers(until=100)
    async with aclosing(ahead(numbers(), most)) as read:
        used = 0
        async for _ in read:
            used += 1
            await settle()
            assert numbers.read == min(used + most, 100)


async def test_an_error_is_raised_after_what_was_read_before_it() -> None:
    read = ahead(Numbers(until=3, error=ValueError("broken"))(), 2)
    assert [await anext(read) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken"):
        await anext(read)


async def test_whoever_stops_early_ends_the_reading() -> None:
    numbers = Numbers(until=100, error=ValueError("never reached"))
    before = asyncio.all_tasks()
    async with aclosing(ahead(numbers(), 2)) as read:
        assert await anext(read) == 0
        await settle()
    assert asyncio.all_tasks() == before
    assert numbers.read < 100
    assert numbers.closed
