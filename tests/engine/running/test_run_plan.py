"""The plan of a run: written here and told as it grows, or heard of; what fails ends the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from batcher.core.errors import InputError, KindFailed, StoreError
from batcher.engine.job.endings import LEAST_ROOM_BYTES
from batcher.engine.planning.plan_writer import Planning
from batcher.engine.running.run_plan import RunPlan, end_where_cramped
from batcher.ports import NewShard
from tests.engine.running.parts import JOB, Running
from tests.store.making import claim_one, make_dead, make_job, make_shard, plan

SHARDS = [make_shard(0), make_shard(1, dead=[make_dead(5)])]


class Planner:
    """Gives its shards one by one (:class:`batcher.engine.planning.handover.AnyPlanner`)."""

    input_sha256: str | None = "ab"

    def __init__(self, failure: Exception | None) -> None:
        self._left = list(SHARDS)
        self._failure = failure
        self.next_row = 0

    def next_shards(self, rows: int, size_bytes: int) -> Sequence[NewShard]:
        del rows, size_bytes
        if self._failure is not None and len(self._left) < len(SHARDS):
            raise self._failure
        if not self._left:
            return []
        shard = self._left.pop(0)
        self.next_row = shard.first_row + shard.rows
        return [shard]

    def stop(self) -> None: ...


def planning_of(failure: Exception | None = None) -> Planning:
    source: Any = SimpleNamespace(name="in.csv")
    make: Callable[..., Any] = lambda job, reuse: Planner(failure)  # noqa: E731
    unused: Any = None
    return Planning(make=make, source=source, rows=8, sha256="ab", shape=unused)


async def a_plan(running: Running, planning: Planning | None) -> tuple[RunPlan, list[int]]:
    """A run's plan, and how many rows were planned at each piece of news."""
    await running.store.open_job(make_job(), fresh=False)
    news: list[int] = []
    running.work.job.planned = False
    running.work.live.rows, running.work.live.rows_planned = 8, 0
    run_plan = RunPlan(
        running.work,
        planning,
        news=lambda: news.append(running.work.live.rows_planned),
        end=running.end,
    )
    return run_plan, news


async def test_shards_are_told_of_as_they_are_written() -> None:
    running = Running()
    run_plan, news = await a_plan(running, planning_of())
    await run_plan.write()
    assert run_plan.is_whole
    assert news == [4, 8, 8]
    assert running.work.live.dead == 1
    assert (await running.store.job(JOB)).planned
    assert (await claim_one(running.store)).outline == SHARDS[0].plan.outline
    assert (running.endings, run_plan.error) == ([], None)


async def test_a_row_that_cannot_be_sent_ends_a_run_that_stops_at_the_first() -> None:
    running = Running()
    running.work.bound.spec = replace(running.work.bound.spec, on_error="stop")
    run_plan, _ = await a_plan(running, planning_of())
    await run_plan.write()
    assert [ending.exit_code for ending in running.endings] == [3]


@pytest.mark.parametrize(
    ("failure", "status", "is_raised"),
    [
        (InputError("it changed", source="in.csv"), "stopped", True),
        (KindFailed("chat", "raised something"), "failed", False),
        (StoreError("the database is away"), "interrupted", True),
        (ZeroDivisionError(), "failed", False),
    ],
)
async def test_what_planning_fails_by_ends_the_run_and_is_raised_where_the_job_does_not_tell(
    failure: Exception, status: str, is_raised: bool
) -> None:
    running = Running()
    run_plan, _ = await a_plan(running, planning_of(failure))
    await run_plan.write()
    assert [ending.status for ending in running.endings] == [status]
    assert run_plan.error is (failure if is_raised else None)
    assert not run_plan.is_whole


async def test_a_plan_that_somebody_else_writes_is_heard_of() -> None:
    running = Running()
    run_plan, news = await a_plan(running, None)
    await run_plan.write()
    await run_plan.hear(await running.store.job(JOB))
    assert (run_plan.is_whole, running.work.live.rows_planned) == (False, 0)
    await plan(running.store, shards=2)
    await run_plan.hear(await running.store.job(JOB))
    assert (run_plan.is_whole, running.work.live.rows_planned) == (True, 8)
    assert news == []


@pytest.mark.parametrize(
    ("room", "ends"), [(None, False), (LEAST_ROOM_BYTES, False), (LEAST_ROOM_BYTES - 1, True)]
)
def test_a_disk_that_is_nearly_full_ends_the_run(room: int | None, ends: bool) -> None:
    running = Running()
    disk: Any = SimpleNamespace(room_bytes=lambda: room)
    end_where_cramped(disk, running.end)
    assert bool(running.endings) == ends
