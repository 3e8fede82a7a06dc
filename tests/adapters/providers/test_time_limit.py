"""One time limit for many tasks: each has its own time, and nobody else's cancellation is lost."""

from __future__ import annotations

import asyncio

import pytest

from batcher.adapters.providers.time_limit import TimeLimit
from tests.engine.virtual_time import in_virtual_time


def now() -> float:
    return asyncio.get_running_loop().time()


async def outlast(limit: TimeLimit, seconds: float, *, after: float = 0.0) -> float:
    """Sleep within the limit, later; returns when that ended, by itself or not."""
    await asyncio.sleep(after)
    try:
        with limit():
            await asyncio.sleep(seconds)
    except TimeoutError:
        return -now()
    return now()


@in_virtual_time
async def test_each_task_has_its_own_time_from_when_it_began() -> None:
    limit, start = TimeLimit(10.0), now()
    each = [(60.0, 0.0), (9.0, 0.0), (60.0, 3.0), (9.0, 3.0), (60.0, 100.0)]
    ended = await asyncio.gather(*(outlast(limit, takes, after=after) for takes, after in each))
    assert ended == [-(start + 10), start + 9, -(start + 13), start + 12, -(start + 110)]


@in_virtual_time
async def test_what_is_in_time_leaves_no_timer_that_matters() -> None:
    limit, start = TimeLimit(10.0), now()
    assert await outlast(limit, 1.0) == start + 1
    assert repr(limit) == "<TimeLimit of 10 s, 0 running>"
    await asyncio.sleep(30.0)
    assert await outlast(limit, 9.5) == start + 40.5


@in_virtual_time
async def test_a_cancellation_by_somebody_else_passes_through() -> None:
    limit = TimeLimit(10.0)
    task = asyncio.create_task(outlast(limit, 60.0))
    await asyncio.sleep(5.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert repr(limit) == "<TimeLimit of 10 s, 0 running>"


@in_virtual_time
async def test_a_cancellation_at_the_very_end_of_the_time_is_not_lost() -> None:
    limit = TimeLimit(10.0)
    task = asyncio.create_task(outlast(limit, 60.0))
    await asyncio.sleep(0.0)
    asyncio.get_running_loop().call_at(now() + 10.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


@in_virtual_time
async def test_an_error_of_its_own_is_not_taken_for_a_timeout() -> None:
    limit = TimeLimit(10.0)

    async def fail() -> None:
        with limit():
            await asyncio.sleep(1.0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


@in_virtual_time
async def test_nothing_is_limited_once_it_is_closed() -> None:
    limit, start = TimeLimit(10.0), now()
    task = asyncio.create_task(outlast(limit, 60.0))
    await asyncio.sleep(1.0)
    limit.close()
    assert await task == start + 60
