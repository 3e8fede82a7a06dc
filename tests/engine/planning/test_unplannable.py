"""A plan that cannot be made ends its job with a cause, in a fleet as on one machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.adapters.system.row_guard import ThreadGuard
from batcher.core.errors import InputError, KindFailed, PlanFailed, StoreError, UsageError
from batcher.core.model import JobState, StopCause
from batcher.core.row.asked import Asked
from batcher.engine.fleet.order_opener import MOST_TRIES
from batcher.engine.job.endings import Endings
from batcher.engine.planning import rendering, shard_in_making
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import EncodedPlan, Event, OrderState
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words
from tests.waiting import PATIENCE_SECONDS

ODD = "a row that nobody foresaw"
RAISED = [OverflowError(ODD), TypeError(ODD), AssertionError(ODD), ZeroDivisionError(ODD)]
HOUR = "5-55/10 * * * *"
SPIN = (
    "{% for a in range(999) %}{% for b in range(n) %}"
    "{% set x = text.upper().lower().upper() %}{% endfor %}{% endfor %}{{ text }}"
)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    """What planning raises at a row with the odd text from now on; None for nothing."""
    raised: list[BaseException | None] = [None]

    def encode(plan: ShardPlan, asked: Asked) -> EncodedPlan:
        error = raised[0]
        if error is not None and any(ODD in text for prompt in asked.prompts for text in prompt):
            raise error
        return encode_plan(plan, asked)

    def let(error: BaseException | None) -> None:
        raised[0] = error

    monkeypatch.setattr(shard_in_making, "encode_plan", encode)
    return let


def texts(rows: int = 600) -> list[str]:
    """With the odd one in a later shard than the first."""
    return [*words(rows), ODD, *words(5, marker="late")]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@in_virtual_time
async def test_on_one_machine_it_is_told_and_the_same_command_goes_on(
    tmp_path: Path, fault: Callable[[BaseException | None], None], error: BaseException
) -> None:
    async with open_work(tmp_path) as work:
        spec = work.chat(texts())
        fault(error)
        ran = await work.run(spec)
        assert (ran.report.status, ran.report.exit_code) == ("failed", 1)
        assert ran.report.cause is StopCause.PLAN
        assert f"the plan cannot be made: {type(error).__name__} in " in (ran.report.reason or "")
        assert ODD not in (ran.report.reason or "")
        status = await work.runner.status(ran.report.job)
        assert (status.status, status.cause) == ("paused", StopCause.PLAN)
        fault(None)
        ran = await work.run(spec)
        assert ran.report.exit_code == 0
        assert work.stats.inputs_served_twice == 0


@pytest.mark.parametrize("error", RAISED[:2], ids=lambda error: type(error).__name__)
@in_virtual_time
async def test_in_a_fleet_it_is_told_and_not_tried_again(
    tmp_path: Path,
    database: str,
    fault: Callable[[BaseException | None], None],
    error: BaseException,
) -> None:
    events = Events()
    async with open_work(tmp_path, database=database) as work:
        fault(error)
        async with worker(database, events):
            report = await work.runner.ask(work.chat(texts()))
            watched = await work.runner.watch(report.job, on_live=lambda live: None)
            await asyncio.sleep(3_600)
        assert (watched.status, watched.exit_code) == ("failed", 1)
        assert watched.cause is StopCause.PLAN
        assert type(error).__name__ in (watched.reason or "")
        assert len(events.of(Event.ERRAND_FAILED)) == 1
        fault(None)
        await work.runner.resume(report.job)
        async with worker(database):
            ran = await completed(work, report.job)
        assert len(ran.done) == 606


@in_virtual_time
async def test_a_submission_that_cannot_be_planned_ends_for_those_who_watch(
    tmp_path: Path, database: str, fault: Callable[[BaseException | None], None]
) -> None:
    async with open_work(tmp_path, database=database) as work:
        fault(OverflowError(ODD))
        with pytest.raises(OverflowError):
            await work.runner.submit(work.chat(texts()))
        (report,) = await work.runner.jobs()
        watched = await work.runner.watch(report.job, on_live=lambda live: None)
        assert (watched.status, watched.exit_code) == ("failed", 1)


@in_virtual_time
async def test_later_firings_go_on_without_it(
    tmp_path: Path, database: str, fault: Callable[[BaseException | None], None]
) -> None:
    async with open_work(tmp_path, database=database) as work:
        await work.runner.schedules.add("often", HOUR, work.chat(texts()))
        fault(OverflowError(ODD))
        async with worker(database):
            await asyncio.sleep(12 * 60)
            fault(None)
            await asyncio.sleep(20 * 60)
        newest_first = [report.status for report in await work.runner.jobs()]
        assert newest_first == ["complete", "complete", "paused"]
        (listed,) = await work.runner.schedules.all()
        assert all(fired.order.state is OrderState.DONE for fired in listed.fired)


@in_virtual_time
async def test_what_may_pass_is_tried_again_and_never_ends_a_job(
    tmp_path: Path, database: str, fault: Callable[[BaseException | None], None]
) -> None:
    events = Events()
    async with open_work(tmp_path, database=database) as work:
        fault(StoreError("the database is away"))
        async with worker(database, events):
            report = await work.runner.ask(work.chat(texts()))
            await asyncio.sleep(60)
            assert (await work.runner.status(report.job)).status == "open"
            fault(OSError("the disk is away"))
            await asyncio.sleep(180)
            assert (await work.runner.status(report.job)).status == "open"
            fault(None)
            ran = await completed(work, report.job)
        assert len(ran.done) == 606
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_plan_that_never_gets_further_is_given_up(
    tmp_path: Path, database: str, fault: Callable[[BaseException | None], None]
) -> None:
    events = Events()
    async with open_work(tmp_path, database=database) as work:
        fault(MemoryError())
        async with worker(database, events):
            report = await work.runner.ask(work.chat(texts()))
            watched = await work.runner.watch(report.job, on_live=lambda live: None)
            await asyncio.sleep(3_600)
        assert (watched.status, watched.cause) == ("failed", StopCause.PLAN)
        assert f"given up after {MOST_TRIES} tries" in (watched.reason or "")
        # The first try got one shard further.
        assert len(events.of(Event.ERRAND_FAILED)) == 1 + MOST_TRIES
        fault(None)
        await work.runner.resume(report.job)
        async with worker(database):
            await completed(work, report.job)


@in_virtual_time
async def test_an_order_whose_input_raises_what_nobody_foresaw_fails_at_once(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*arguments: object) -> None:
        raise OverflowError(ODD)

    async with open_work(tmp_path, database=database) as work:
        await work.runner.schedules.add("often", HOUR, work.chat(list(words(5))))
        with monkeypatch.context() as patched:
            patched.setattr("batcher.engine.opening.binding.Bound.check", check)
            async with worker(database):
                await asyncio.sleep(8 * 60)
        (listed,) = await work.runner.schedules.all()
        (fired,) = listed.fired
        assert fired.order.state is OrderState.FAILED
        assert "OverflowError in " in (fired.order.error or "")
        assert ODD not in (fired.order.error or "")
        async with worker(database):
            await asyncio.sleep(12 * 60)
        assert [report.status for report in await work.runner.jobs()] == ["complete"]


@pytest.mark.parametrize(
    ("error", "cause", "exit_code"),
    [
        (InputError("changed", source="in.csv"), StopCause.INPUT, 2),
        (UsageError("wrong"), StopCause.INPUT, 2),
        (PlanFailed("too slow"), StopCause.INPUT, 2),
        (KindFailed("chat", "failed"), StopCause.KIND, 1),
        (ValueError("a row"), StopCause.PLAN, 1),
        (StoreError("away"), None, 130),
        (OSError("away"), None, 130),
        (MemoryError(), None, 130),
    ],
)
def test_each_failure_of_planning_has_its_ending(
    error: Exception, cause: StopCause | None, exit_code: int
) -> None:
    ending = Endings.of_planning(error)
    assert (ending.cause, ending.exit_code) == (cause, exit_code)
    assert (ending.event is None) == (cause is None)


# --- templates that spin ----------------------------------------------------------------------


def slow(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a template go on for hours, as far as its own counting goes."""
    monkeypatch.setattr("batcher.kinds.metering.MOST_BYTES", 1 << 60)


def spinning(work: Work, rows: str) -> Path:
    work.path("spin.j2").write_text(SPIN, encoding="utf-8")
    path = work.path("in.jsonl")
    path.write_text(rows, encoding="utf-8")
    return path


QUICK = '{"id": "a", "text": "one", "n": 0}\n{"id": "c", "text": "three", "n": 0}\n'
SPINS = '{"id": "b", "text": "two", "n": 99999}\n'


async def test_a_row_that_overruns_is_a_dead_letter_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path) as work:
        slow(work, monkeypatch)
        quick_guard(work)
        source = spinning(work, QUICK + SPINS)
        ran = await work.run(work.kind("chat", str(source), {"prompt": str(work.path("spin.j2"))}))
        assert ran.report.exit_code == 3
        assert ran.failed == {2: ("template_error", 0)}
        assert ran.done == [0, 1]


async def test_a_template_that_overruns_on_every_row_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path) as work:
        slow(work, monkeypatch)
        quick_guard(work)
        rows = "".join(SPINS.replace('"b"', f'"b{n}"') for n in range(rendering.MOST_OVERRUNS + 5))
        source = spinning(work, rows)
        ran = await work.run(work.kind("chat", str(source), {"prompt": str(work.path("spin.j2"))}))
        assert (ran.report.status, ran.report.exit_code) == ("stopped", 2)
        assert "rows one after the other took longer than" in (ran.report.reason or "")


async def test_cancelling_ends_a_job_whose_template_spins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path) as work:
        slow(work, monkeypatch)
        source = spinning(work, SPINS)
        spec = work.kind("chat", str(source), {"prompt": str(work.path("spin.j2"))})
        for how in (work.run(spec), work.runner.submit(spec)):
            running = asyncio.ensure_future(how)
            while not (jobs := await work.runner.jobs()) or jobs[0].status != "open":
                await asyncio.sleep(0.1)
            await work.runner.cancel(jobs[0].job)
            await asyncio.wait_for(asyncio.shield(running), PATIENCE_SECONDS)
            assert (await work.runner.status(jobs[0].job)).status == JobState.CANCELLED


def quick_guard(work: Work) -> None:
    """Give each row a tenth of a second."""
    services = work.runner._services
    guard = lambda: ThreadGuard(most_seconds=0.1, look_seconds=0.05)  # noqa: E731
    services = replace(services, open_guard=guard)
    work.runner._services = services
    work.runner._intake._services = services
