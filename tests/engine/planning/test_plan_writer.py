"""The writer of a plan: under its lease, from the cursor on, to the end or to what stops it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from batcher.adapters.store.memory.store import MemoryStore
from batcher.core.errors import InputError
from batcher.core.kind import Shape
from batcher.core.model import Job, JobEvent, JobState
from batcher.engine.planning.handover import AnyPlanner
from batcher.engine.planning.plan_writer import PlanLease, Planning, PlanWriter
from batcher.ports import GuardStopped, NewShard, Reuse
from tests.fakes import FakeClock
from tests.store.making import TTL, make_dead, make_job, make_shard

ROWS = 4
"""Of each shard."""
SHARDS = 3


@dataclass
class Planner:
    """Shards that are given; one that is waited for is planned once somebody stops it."""

    shards: list[NewShard]
    sha256: str | None = "the hash"
    waits_at: int | None = None
    next_row: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    loop: Any = None

    @property
    def input_sha256(self) -> str | None:
        return self.sha256

    def next_shards(self, rows: int, size_bytes: int) -> Sequence[NewShard]:
        assert rows > 0
        assert size_bytes > 0
        if not self.shards:
            return []
        shard = self.shards.pop(0)
        if shard.ordinal == self.waits_at:
            asyncio.run_coroutine_threadsafe(self.stopped.wait(), self.loop).result(10)
            raise GuardStopped
        self.next_row = shard.first_row + shard.rows
        return [shard]

    def stop(self) -> None:
        self.stopped.set()


class Plan:
    """A job of some shards, and who writes its plan."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.made_at: list[tuple[int, int]] = []
        self.written: list[int] = []
        self.planner: Planner | None = None

    async def open(self) -> Plan:
        await self.store.open_job(make_job(), fresh=False)
        return self

    def writer(
        self,
        *,
        stop_at_dead: bool = False,
        after: Callable[[NewShard], None] = lambda shard: None,
        **planner: Any,
    ) -> PlanWriter:
        """``after`` is called once a shard is written; ``planner`` is what the planner is like."""

        shards = [make_shard(ordinal, rows=ROWS) for ordinal in range(SHARDS)]
        given: dict[str, Any] = {"shards": shards, "loop": asyncio.get_running_loop(), **planner}

        def make(job: Job, reuse: Reuse | None) -> AnyPlanner:
            assert reuse is None
            self.made_at.append((job.plan_row, job.plan_shard))
            left = [shard for shard in given["shards"] if shard.ordinal >= job.plan_shard]
            self.planner = Planner(**{**given, "shards": left}, next_row=job.plan_row)
            return self.planner

        source: Any = Named()
        rows = ROWS * SHARDS
        planning = Planning(
            make=make, source=source, rows=rows, sha256="the hash", shape=Shape.VECTOR
        )
        lease = PlanLease(self.store, self.clock, "j1", "me", TTL)

        def wrote(shard: NewShard) -> None:
            self.written.append(shard.ordinal)
            after(shard)

        return PlanWriter(
            planning,
            lease,
            self.store,
            self.clock,
            wrote=wrote,
            stop_at_dead=stop_at_dead,
        )

    async def job(self) -> Job:
        return await self.store.job("j1")


class Named:
    """An input of which only the name is asked for."""

    name = "in.csv"


async def test_a_plan_is_written_to_its_end_and_its_lease_given_back() -> None:
    plan = await Plan().open()
    assert await plan.writer().write()
    job = await plan.job()
    assert (job.planned, job.plan_row, job.plan_shard) == (True, ROWS * SHARDS, SHARDS)
    assert plan.written == [0, 1, 2]
    assert await plan.store.lease_plan("j1", "another", TTL) is not None


async def test_it_goes_on_at_the_cursor() -> None:
    plan = await Plan().open()
    fence = await plan.store.lease_plan("j1", "dead", TTL)
    assert fence is not None
    await plan.store.add_shard("j1", fence, make_shard(0), next_row=ROWS, planned=False)
    assert not await plan.writer().write(), "another owner plans"
    assert plan.made_at == []
    await plan.clock.advance(TTL)
    assert await plan.writer().write()
    assert plan.made_at == [(ROWS, 1)]
    assert plan.written == [1, 2]


async def test_who_has_lost_the_right_writes_no_more() -> None:
    plan = await Plan().open()

    def lose(shard: NewShard) -> None:
        plan.store._entries["j1"].plan_fence += 1  # as if it had run out, and another had claimed

    assert not await plan.writer(after=lose).write()
    assert plan.written == [0]
    assert (await plan.job()).plan_shard == 1


@pytest.mark.parametrize("planner", [{"sha256": "another"}, {"shards": [make_shard(0)]}], ids=str)
async def test_an_input_that_changed_is_told(planner: dict[str, Any]) -> None:
    """By its hash, or since it has fewer rows than were checked."""
    plan = await Plan().open()
    with pytest.raises(InputError, match=r"in\.csv: the input changed"):
        await plan.writer(**planner).write()
    assert not (await plan.job()).planned


async def test_it_stops_at_a_dead_letter_where_it_should() -> None:
    dead = make_shard(1, dead=[make_dead(5, final=True)])
    for stops in (False, True):
        plan = await Plan().open()
        shards = [make_shard(0), dead, make_shard(2)]
        assert await plan.writer(stop_at_dead=stops, shards=shards).write() is not stops
        job = await plan.job()
        assert (job.state is JobState.PAUSED, job.planned) == (stops, not stops)
        assert plan.written == ([0, 1] if stops else [0, 1, 2])


async def test_a_job_that_is_cancelled_is_planned_no_further_though_a_row_takes_for_ever() -> None:
    plan = await Plan().open()
    writing = asyncio.create_task(plan.writer(waits_at=1).write())
    while plan.written != [0]:
        await asyncio.sleep(0.001)
    await plan.store.move("j1", JobEvent.CANCEL)
    while not writing.done():
        await plan.clock.advance(1.0)
        await asyncio.sleep(0.001)
    assert await writing is False
    assert plan.planner is not None
    assert plan.planner.stopped.is_set()
