"""What a run looks at once a second, and what it does about it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from batcher.core.failures.outage import OUTAGE_AFTER_SECONDS
from batcher.core.failures.verdicts import MAX_ATTEMPTS
from batcher.core.model import Job, JobEvent
from batcher.core.throttle.bucket import Limits
from batcher.engine.routes.route import RouteFigures
from batcher.engine.running.watching import Figures, LearnedKeeper, OutageWatch, TakeOver, Watch
from tests.engine.calls import a_shard
from tests.engine.running.parts import JOB, Running


async def test_the_figures_of_a_route_are_shown_as_they_are_now() -> None:
    running = Running()
    failing, live = running.failing, running.failing.live
    route: Any = SimpleNamespace(
        figures=RouteFigures(in_flight=3, window=7, limits=Limits(requests_per_minute=60.0))
    )
    figures = Figures(
        failing.telemetry, route, state=failing.state, checkpoint_writer=failing.writer
    )
    await figures.show()
    assert (live.in_flight, live.window, live.limits.requests_per_minute) == (3, 7, 60.0)
    assert not live.outage
    failing.state.failed("HTTP 500")
    running.clock.set(running.clock.now() + OUTAGE_AFTER_SECONDS)
    route.figures = RouteFigures(in_flight=0, window=1)
    await figures.show()
    assert (live.in_flight, live.window, live.outage) == (0, 1, True)


async def test_what_the_provider_taught_is_written_down_once() -> None:
    running = Running()
    await running.open()
    keeper = LearnedKeeper(running.work, running.learning)
    running.learning.drop("temperature")
    await keeper.keep()
    assert (await running.store.job(JOB)).learned.dropped == {"temperature"}
    running.work.services.store = None  # nothing is written that is written already
    await keeper.keep()


# --- outages --------------------------------------------------------------------------------------


def watch_of(running: Running, *, all_claimed: bool) -> OutageWatch:
    failing = running.failing
    return OutageWatch(
        running.work,
        failing.state,
        failing.passing,
        all_claimed=lambda: all_claimed,
        end=running.end,
    )


async def test_too_long_an_outage_pauses_the_job() -> None:
    running = Running()
    watch = watch_of(running, all_claimed=False)
    running.failing.state.failed("HTTP 503")
    running.clock.set(running.clock.now() + 899.0)
    await watch.look()
    assert running.endings == []
    running.clock.set(running.clock.now() + 1.0)
    await watch.look()
    (ending,) = running.endings
    assert (ending.status, ending.exit_code) == ("paused", 5)
    assert "HTTP 503" in str(ending.reason)


@pytest.mark.parametrize("all_claimed", [True, False])
async def test_last_rows_that_always_fail_get_one_more_try_instead(all_claimed: bool) -> None:
    """All that is left was spent before: a job that waited for them would never end."""
    running = Running()
    failing = running.failing
    (call,) = a_shard(1).calls
    call.attempts, call.others_succeeded = MAX_ATTEMPTS, True
    failing.queue.again(call)
    failing.state.failed("timeout")
    running.clock.set(running.clock.now() + 900.0)
    await watch_of(running, all_claimed=all_claimed).look()
    assert bool(running.endings) != all_claimed
    assert failing.verdicts.is_last_try == all_claimed
    assert failing.state.in_outage != all_claimed


# --- once a second --------------------------------------------------------------------------------


async def test_shards_of_the_dead_are_looked_for_now_and_then() -> None:
    taken: list[int] = []

    async def take_over() -> bool:
        taken.append(len(taken))
        return False

    leases: Any = SimpleNamespace(take_over=take_over)
    look = TakeOver(leases).look
    for _ in range(9):
        await look()
    assert len(taken) == 3


async def watched(running: Running, seconds: float) -> list[str]:
    """What was looked at and heard of, in order, in so many seconds."""
    seen: list[str] = []

    async def first() -> None:
        seen.append("first")

    async def second() -> None:
        seen.append("second")

    async def hear(job: Job) -> None:
        seen.append(str(job.state))

    watch = Watch(running.work, [first, second], [hear], running.end)
    task = asyncio.create_task(watch.run())
    await running.clock.advance(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


async def test_everything_is_looked_at_in_its_order_once_a_second() -> None:
    running = Running()
    await running.open()
    assert await watched(running, 0.9) == []
    assert await watched(running, 2.5) == 2 * ["first", "second", "open"]
    assert running.endings == []


@pytest.mark.parametrize(
    ("event", "status"), [(JobEvent.CANCEL, "cancelled"), (JobEvent.PAUSE, "paused")]
)
async def test_a_job_that_somebody_else_stopped_ends_the_run(event: JobEvent, status: str) -> None:
    running = Running()
    await running.open()
    await running.store.move(JOB, event)
    await watched(running, 1.0)
    assert [ending.status for ending in running.endings] == [status]
