"""Leases that lapse while their owner lives: after a sleep, a jump of the clock, a long outage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from batcher.adapters.store.memory.store import MemoryStore
from batcher.adapters.store.sqlite.database import SqliteDatabase
from batcher.adapters.throttle import MemoryThrottle
from batcher.core.kind import Shape
from batcher.engine.byte_room import ByteRoom
from batcher.engine.job.endings import Endings, apply_ending
from batcher.engine.shards.allowance import Reservations
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.held_shards import HeldShards
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import Event, Grant, WorkerCard
from batcher.settings import Settings
from batcher.wiring import open_fleet, open_runner
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import open_work, words
from tests.fakes import FakeClock
from tests.store.making import make_job


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


class Jumping(LoopClock):
    """A clock whose wall time somebody sets on."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


@pytest.mark.parametrize("after", [3, 5, 8, 13])
@in_virtual_time
async def test_jumps_of_the_clock_cost_a_run_nothing(
    tmp_path: Path, database: str, after: int
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=500) as work:
        clock = Jumping()
        spec = work.chat(list(words(1_500)), concurrency=20)

        async def jump() -> None:
            await asyncio.sleep(after)
            for _ in range(10):
                clock.ahead += 3_600.0
                await asyncio.sleep(1.7)

        async with (
            open_runner(Settings(database_url=database), clock=clock, chance=Random(1)) as runner,
            asyncio.TaskGroup() as tasks,
        ):
            tasks.create_task(jump())
            report = await asyncio.wait_for(runner.run(spec), 600)
        assert (report.status, report.rows_done) == ("complete", 1_500)
        assert report.doubt_requests == 0
        assert work.stats.inputs_served_twice == 0


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_a_worker_takes_up_its_own_leases_after_an_outage_longer_than_they_hold(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The database does not answer for 45 s; every verb waits for it, as on Postgres."""
    chance, away = Random(seed), [float("inf"), float("inf")]

    def waiting(verb: Callable[..., Any]) -> Callable[..., Any]:
        async def ask(self: SqliteDatabase, work: Any) -> Any:
            while away[0] <= asyncio.get_running_loop().time() < away[1]:
                await asyncio.sleep(chance.uniform(2.5, 5.0))
            return await verb(self, work)

        return ask

    for name in ("read", "write"):
        monkeypatch.setattr(SqliteDatabase, name, waiting(getattr(SqliteDatabase, name)))
    async with open_work(tmp_path, database=database, latency_ms=500) as work:
        report = await work.runner.submit(work.chat(list(words(2_000)), concurrency=20))
        async with worker(database):
            await asyncio.sleep(7)
            now = asyncio.get_running_loop().time()
            away[:] = [now, now + 45]
            ran = await asyncio.wait_for(completed(work, report.job), 1_200)
        assert ran.done == list(range(2_000))
        assert work.stats.inputs_served_twice == 0
        assert ran.report.doubt_requests == 0


@in_virtual_time
async def test_a_shard_that_was_lost_takes_no_allowance_from_the_others(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=100) as work:
        report = await work.runner.submit(work.chat(list(words(1_500)), concurrency=20))
        async with open_runner(Settings(database_url=database), clock=LoopClock()) as runner:
            store = runner._services.store
            checkpoint_writer = CheckpointWriter(
                HeldShards(on_lost=lambda shard: None),
                Reservations(partial(store.checkpoint, report.job), None),
                clock=LoopClock(),
                room=ByteRoom(),
                on_flush=lambda committed, seconds: None,
            )
            one, two = await store.claim(report.job, "a", limit=2, ttl_seconds=30)
            lost, kept = LeasedShard(one, Shape.JSON), LeasedShard(two, Shape.JSON)
            checkpoint_writer.add(lost)
            await checkpoint_writer.flush()
            assert lost.worklist.sent_through == 1
            checkpoint_writer.lose(lost)
            checkpoint_writer.add(kept)
            await checkpoint_writer.flush()
            assert kept.worklist.sent_through > 0
            assert list(checkpoint_writer.shards) == [kept]


@in_virtual_time
async def test_what_is_reserved_while_a_run_stops_goes_back(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted, returned = [0], [0]
    reserve, give_back = MemoryThrottle.reserve, MemoryThrottle.give_back

    async def slowly(self: MemoryThrottle, *arguments: Any) -> Grant:
        await asyncio.sleep(1.0)
        grant = await reserve(self, *arguments)
        granted[0] += len(grant.tickets)
        return grant

    async def count(self: MemoryThrottle, quota: str, tickets: Any) -> None:
        returned[0] += len(tickets)
        await give_back(self, quota, tickets)

    monkeypatch.setattr(MemoryThrottle, "reserve", slowly)
    monkeypatch.setattr(MemoryThrottle, "give_back", count)
    async with open_work(tmp_path, database=database, latency_ms=3_000, latency_spread=0.5) as work:
        await work.runner.submit(work.chat(list(words(300)), concurrency=10))
        for seconds in (9.0, 9.4, 9.8, 10.2, 10.6, 11.0, 11.4, 11.8, 12.2):
            async with worker(database):
                await asyncio.sleep(seconds)
        assert granted[0] > work.stats.requests > 0
        assert granted[0] == work.stats.requests + returned[0]


@in_virtual_time
async def test_a_job_paused_by_hand_stays_so_whatever_ends_its_run(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        report = await work.runner.submit(work.chat(list(words(3))))
        paused = await work.runner.pause(report.job)
        async with open_fleet(Settings(database_url=database), log=Events()) as fleet:
            late = Endings.paused("a daily limit", 5.0, wall=LoopClock().wall())
            await apply_ending(fleet.services.store, report.job, late)
        async with worker(database):
            await asyncio.sleep(60)
        now = await work.runner.status(report.job)
        assert (now.status, now.cause, now.resume_at) == ("paused", paused.cause, None)
        assert work.stats.requests == 0


async def test_a_pause_by_hand_gives_way_to_no_other() -> None:
    store = MemoryStore(FakeClock())
    await store.open_job(make_job(), fresh=False)
    by_hand = await apply_ending(store, "j1", Endings.by_hand())
    assert await apply_ending(store, "j1", Endings.refused("no such model")) == by_hand


@in_virtual_time
async def test_a_look_that_fails_for_no_known_reason_ends_nothing(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=500) as work:
        report = await work.runner.submit(work.chat(list(words(200)), concurrency=10))
        events = Events()
        async with worker(database, events) as fleet:
            store = fleet.services.store
            look, beat = store.waiting_jobs, store.beat
            failing = iter([True] * 3)

            async def stumble() -> list[str]:
                if next(failing, False):
                    raise ValueError("a row of a newer version")
                return await look()

            async def stumble_too(card: WorkerCard, ttl_seconds: float) -> None:
                if next(failing, False):
                    raise KeyError("likewise")
                await beat(card, ttl_seconds)

            store.waiting_jobs, store.beat = stumble, stumble_too  # type: ignore[method-assign]
            ran = await completed(work, report.job)
        assert ran.done == list(range(200))
        failed = events.of(Event.ERRAND_FAILED)
        assert {(facts["errand"], facts["error"]) for facts in failed} == {
            ("look", "ValueError"),
            ("beat", "KeyError"),
        }


@in_virtual_time
async def test_a_run_that_stops_for_a_pause_does_not_pause_what_was_resumed_meanwhile(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=8_000) as work:
        report = await work.runner.submit(work.chat(list(words(60)), concurrency=10))
        async with worker(database):
            await asyncio.sleep(14)
            for _ in range(3):
                await work.runner.pause(report.job)
                await asyncio.sleep(1.5)  # it is seen, and in flight is what takes longer
                await work.runner.resume(report.job)
                await asyncio.sleep(12)
            ran = await asyncio.wait_for(completed(work, report.job), 600)
        assert ran.report.status == "complete"
        assert ran.done == list(range(60))
