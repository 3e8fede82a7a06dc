"""A job seen from elsewhere: its figures follow the store, and the watch ends when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from batcher.adapters.store.memory.store import MemoryStore
from batcher.core.model import Job, JobEvent, JobState
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.telemetry.watch import LOOK_SECONDS, watch
from tests.fakes import FakeClock
from tests.store.making import TTL, claim_one, make_checkpoint, make_dead, make_job, open_planned


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(clock)


@asynccontextmanager
async def watched(
    store: MemoryStore, clock: FakeClock
) -> AsyncIterator[tuple[RunStats, asyncio.Task[Job]]]:
    """The figures of a watch of ``j1``, and the watch."""
    given: list[RunStats] = []
    task = asyncio.create_task(watch(store, clock, "j1", priced=True, on_live=given.append))
    await clock.advance(0.0)
    try:
        (live,) = given
        yield live, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_figures_are_those_since_it_began(store: MemoryStore, clock: FakeClock) -> None:
    await open_planned(store, shards=2)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=[0], cost=5)])
    async with watched(store, clock) as (live, task):
        assert (live.rows, live.rows_planned, live.rows_done, live.dead) == (8, 8, 0, 0)
        dead = {1: make_dead(1)}
        checkpoint = make_checkpoint(lease, 2, done=[2, 3], dead=dead, cost=7, finished=True)
        await store.checkpoint("j1", [checkpoint])
        await clock.advance(LOOK_SECONDS)
        assert (live.rows_done, live.dead, live.requests) == (2, 1, 2)
        assert (live.base.rows_done, live.usage.cost_picousd) == (1, 7)
        assert not task.done()


async def test_it_ends_with_the_job_and_says_how(store: MemoryStore, clock: FakeClock) -> None:
    await open_planned(store)
    async with watched(store, clock) as (_, task):
        await store.move("j1", JobEvent.PAUSE, reason="the provider has a limit")
        await clock.advance(LOOK_SECONDS)
        job = await task
    assert (job.state, job.reason) == (JobState.PAUSED, "the provider has a limit")


async def test_a_plan_that_grows_is_seen(store: MemoryStore, clock: FakeClock) -> None:
    await store.open_job(make_job(), fresh=False)
    async with watched(store, clock) as (live, _):
        assert live.rows_planned == 0
        entry = store._entries["j1"]
        entry.job = replace(entry.job, plan_row=5)
        await clock.advance(LOOK_SECONDS)
        assert live.rows_planned == 5


@pytest.mark.parametrize("cause", [None, "the disk is full"])
async def test_a_complete_job_is_followed_until_its_delivery_came_or_failed(
    store: MemoryStore, clock: FakeClock, cause: str | None
) -> None:
    await store.open_job(make_job(), fresh=False)
    await store.set_delivery("j1", {"output": "out.jsonl"})
    async with watched(store, clock) as (_, task):
        await store.move("j1", JobEvent.COMPLETE)
        await clock.advance(3 * LOOK_SECONDS)
        assert not task.done()
        lease = await store.claim_delivery("j1", "w", TTL)
        assert lease is not None
        await clock.advance(LOOK_SECONDS)
        assert not task.done()
        await store.settle_delivery("j1", lease.fence, files=["out.jsonl"], cause=cause)
        await clock.advance(LOOK_SECONDS)
        assert (await task).state is JobState.COMPLETE
