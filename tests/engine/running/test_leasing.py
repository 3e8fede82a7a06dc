"""When a run claims more, and when it is over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from batcher.core.failures.verdicts import Dead
from batcher.engine.running.leasing import Finish, Leasing
from batcher.engine.wakeup import Wakeup
from tests.engine.calls import a_shard
from tests.engine.running.parts import Running


def finish_of(running: Running, *, is_whole: bool = True) -> Finish:
    plan: Any = SimpleNamespace(is_whole=is_whole)
    return Finish(
        running.work,
        plan,
        running.failing.gate,
        verdicts=running.failing.verdicts,
        vectors=running.vectors,
        end=running.end,
    )


def statuses(running: Running) -> list[str]:
    return [ending.status for ending in running.endings]


# --- whether it is over ---------------------------------------------------------------------------


async def test_a_run_is_over_when_every_row_is() -> None:
    running = Running()
    await running.open()
    finish = finish_of(running)
    await finish.look()
    assert statuses(running) == []
    await running.finish()
    await finish.look()
    assert statuses(running) == ["complete"]


async def test_nothing_is_over_while_a_call_waits_or_is_in_flight() -> None:
    running = Running()
    await running.open()
    await running.finish()
    failing, finish = running.failing, finish_of(running)
    shard = a_shard(1)
    failing.queue.add(shard)
    await finish.look()
    (call,) = failing.queue.take(1)
    failing.gate.sent(call)
    await finish.look()
    assert statuses(running) == []
    failing.gate.landed(call)
    await finish.look()
    assert statuses(running) == ["complete"]


async def test_what_is_held_for_the_want_of_a_success_ends_when_nothing_else_is_left() -> None:
    running = Running()
    await running.open()
    shard = a_shard(1)
    running.failing.writer.add(shard)
    running.failing.verdicts.reject(shard.calls[0], Dead("invalid_value", "no"))
    await finish_of(running, is_whole=False).look()
    assert running.failing.letters(shard) == [], "there may be more rows, that prove something"
    await finish_of(running).look()
    assert [code for _, code, _ in running.failing.letters(shard)] == ["invalid_value"]
    assert statuses(running) == []


async def test_a_worker_with_nothing_to_claim_lingers_and_leaves() -> None:
    """The last rows are another worker's; whatever it has to do meanwhile, it lingers anew."""
    running = Running(linger_seconds=10.0)
    await running.open()
    finish = finish_of(running)
    await finish.look()
    running.clock.set(running.clock.now() + 9.0)
    await finish.look()
    assert statuses(running) == []
    running.failing.queue.add(a_shard(1))
    await finish.look()
    running.failing.queue.take(1)
    running.clock.set(running.clock.now() + 9.0)
    await finish.look()
    assert statuses(running) == []
    running.clock.set(running.clock.now() + 10.0)
    await finish.look()
    assert statuses(running) == ["idle"]


@pytest.mark.parametrize("shared", [True, False])
async def test_what_succeeded_in_another_worker_proves_as_much_here(shared: bool) -> None:
    running = Running(linger_seconds=10.0 if shared else None)
    await running.open()
    finish = finish_of(running)
    await finish.hear_of_success()
    assert not running.failing.verdicts.had_success
    await running.finish(rows=2)
    await finish.hear_of_success()
    assert running.failing.verdicts.had_success == shared


# --- claiming -------------------------------------------------------------------------------------


class Claiming:
    """So many shards to be claimed, by a route that wants so many calls; a shard is one call."""

    def __init__(self, *, shards: int, wanted: int, shared: bool = False) -> None:
        self.left = shards
        self.wanting = wanted
        self.limits: list[int] = []
        self.looks = 0
        self.over = False
        self.plan = SimpleNamespace(is_whole=True)
        itself: Any = self
        plan: Any = self.plan
        self.leasing = Leasing(itself, itself, itself, plan, shared=shared, ended=lambda: self.over)
        self.news = Wakeup()

    async def claim(self, limit: int) -> list[int]:
        self.limits.append(limit)
        leased = min(limit, self.left)
        self.left -= leased
        self.wanting -= leased
        return list(range(leased))

    async def look(self) -> None:
        self.looks += 1

    async def run(self, times: int = 1) -> None:
        """Let it work until it waits, and again for each piece of news."""
        task = asyncio.create_task(self.leasing.run(self.news))
        for _ in range(times):
            for _ in range(10):
                await asyncio.sleep(0)
            self.news.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_shards_are_claimed_until_the_route_wants_no_more() -> None:
    claiming = Claiming(shards=99, wanted=9)
    await claiming.run()
    assert (claiming.wanting, claiming.looks) == (-3, 0)
    assert not claiming.leasing.all_claimed
    claiming.wanting = 1
    await claiming.run()
    assert claiming.left == 99 - 12 - 4


async def test_where_others_work_too_one_at_a_time_is_claimed() -> None:
    claiming = Claiming(shards=99, wanted=3, shared=True)
    await claiming.run()
    assert claiming.limits == [1, 1, 1]


async def test_with_nothing_left_to_claim_it_looks_whether_the_run_is_over() -> None:
    claiming = Claiming(shards=4, wanted=9)
    await claiming.run(times=2)
    assert claiming.leasing.all_claimed
    assert claiming.looks == 2, "once, and once more when something changed"
    claiming.over = True
    await claiming.run()
    assert claiming.looks == 2


async def test_while_the_plan_grows_not_all_is_claimed() -> None:
    claiming = Claiming(shards=0, wanted=9)
    claiming.plan.is_whole = False
    await claiming.run()
    assert not claiming.leasing.all_claimed
    assert claiming.looks == 1
