"""A kind that is at fault ends its job in good order: said plainly, nothing lost, and resumable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, cast

import pytest

from batcher.core.errors import KindFailed
from batcher.core.job.spec import JobSpec
from batcher.core.kind import Shape
from batcher.core.model import StopCause
from batcher.engine.job.report import Report
from batcher.engine.opening.orders import OrderFailed
from batcher.ports import Event
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.kinds.awkward_kind import KIND, Awkward
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import Work, audit, nothing_written, open_work, words

if TYPE_CHECKING:
    from batcher.adapters.system.installed_kinds import InstalledKinds

TEXTS = [*words(20), *words(5, marker="late")]


@pytest.fixture
def awkward(monkeypatch: pytest.MonkeyPatch) -> Iterator[Awkward]:
    """The kind, installed, and without a fault after the test."""
    entry = EntryPoint(
        name="awkward", value="tests.engine.kinds.awkward_kind:KIND", group="batcher.kinds"
    )
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), entry],
    )
    yield KIND
    KIND.fault = None
    KIND.shape = Shape.JSON


def job(work: Work, **settings: object) -> JobSpec:
    return work.kind("awkward", TEXTS, {"text": "text"}, concurrency=2, **settings)


FAULTS = {
    "parse": "its parse raised RuntimeError",
    "too_many": "its parse returned 2 outcomes for 1 pieces",
    "no_list": "its parse raised TypeError",
    "text": "its parse returned a result that is a str, not an object of its fields",
    "bare": "its parse returned an outcome that is a str",
    "lines": "its parse returned a result that is not one line",
    "body": "its body raised ZeroDivisionError",
    "body_set": "its body raised TypeError",
    "render": "its render raised KeyError",
    "render_none": "its render raised TypeError",
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.items())
@in_virtual_time
async def test_a_kind_at_fault_stops_the_job_until_it_is_mended(
    here: Path, awkward: Awkward, fault: str, said: str
) -> None:
    async with open_work(here, latency_ms=100) as work:
        awkward.fault = fault
        ran = await work.run(job(work))

        assert (ran.report.exit_code, ran.report.status) == (1, "failed")
        reason = ran.report.reason or ""
        assert reason.startswith(f"the kind 'awkward' cannot go on, {said}")
        assert "text number" not in reason
        assert ran.report.rows_failed == 0
        assert nothing_written(work)
        status = await work.runner.status(ran.report.job)
        assert (status.status, status.reason) == ("paused", reason)
        audit(work, ran.report)

        awkward.fault = None
        again = await work.run(job(work))
        assert again.report.job == ran.report.job
        assert again.done == list(range(25))
        audit(work, again.report)


@in_virtual_time
async def test_a_vector_that_is_none_is_the_kinds_fault(here: Path, awkward: Awkward) -> None:
    async with open_work(here) as work:
        awkward.shape = Shape.VECTOR
        awkward.fault = "vector"
        ran = await work.run(job(work))

        assert ran.report.exit_code == 1
        assert "its parse returned a vector of 5 bytes" in (ran.report.reason or "")


@in_virtual_time
async def test_what_was_in_flight_is_settled_and_kept(here: Path, awkward: Awkward) -> None:
    """Bodies fail late: what was asked before is done, and not asked again."""
    async with open_work(here, latency_ms=500) as work:
        awkward.fault = "body"
        ran = await work.run(job(work))
        assert ran.report.rows_done == 20
        assert ran.report.doubt_requests == 0

        awkward.fault = None
        again = await work.run(job(work))
        assert again.done == list(range(25))
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_an_option_that_it_chokes_on_is_its_fault_too(here: Path, awkward: Awkward) -> None:
    async with open_work(here) as work:
        awkward.fault = "bind"
        with pytest.raises(KindFailed, match="its bind raised LookupError") as caught:
            await work.run(job(work))
        assert caught.value.exit_code == 1
        assert "not found" not in str(caught.value)
        assert await work.runner.jobs() == []


# --- where workers do the work --------------------------------------------------------------------


@asynccontextmanager
async def lean_worker(database: str, events: Events) -> AsyncIterator[None]:
    """A worker at work that lacks the kind."""
    settings = Settings(database_url=database)
    async with open_fleet(settings, log=events, clock=LoopClock(), chance=Random(2)) as fleet:
        kinds = cast("InstalledKinds", fleet.services.kinds)
        del kinds._entries["awkward"]
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fleet.run())
            try:
                yield
            finally:
                fleet.stop()


@in_virtual_time
async def test_what_a_worker_lacks_the_kind_for_it_leaves_to_others(
    here: Path, awkward: Awkward
) -> None:
    database = f"sqlite:///{here}/batcher.db"
    lean = Events()
    async with open_work(here, database=database, latency_ms=100) as work:
        async with lean_worker(database, lean):
            asked = asyncio.create_task(work.runner.ask(job(work)))
            while not lean.of(Event.ERRAND_FAILED):
                await asyncio.sleep(1)
            assert not asked.done()
            async with worker(database):
                ran = await completed(work, (await asked).job)
        assert ran.done == list(range(len(TEXTS)))
        assert {facts["error"] for facts in lean.of(Event.ERRAND_FAILED)} == {"KindNotHere"}
        assert not lean.of(Event.ORDER_FAILED)


@in_virtual_time
async def test_what_no_worker_has_the_kind_for_is_given_up_in_the_end(
    here: Path, awkward: Awkward
) -> None:
    database = f"sqlite:///{here}/batcher.db"
    async with open_work(here, database=database) as work, lean_worker(database, Events()):
        with pytest.raises(OrderFailed, match=r"given up after 10 tries.*lack its kind"):
            await work.runner.ask(job(work))


@in_virtual_time
async def test_a_plan_is_not_given_up_for_a_worker_that_lacks_the_kind(
    here: Path, awkward: Awkward
) -> None:
    database = f"sqlite:///{here}/batcher.db"
    async with open_work(here, database=database, latency_ms=100) as work:
        async with worker(database):
            awkward.fault = "render"
            report = await work.runner.ask(job(work))
            stopped = await ended(work, report.job)
        assert (stopped.status, stopped.cause) == ("paused", StopCause.KIND)
        awkward.fault = None
        await work.runner.resume(report.job)
        lean = Events()
        async with lean_worker(database, lean):
            while not lean.of(Event.ERRAND_FAILED):
                await asyncio.sleep(1)
            assert (await work.runner.status(report.job)).status == "open"
        async with worker(database):
            ran = await completed(work, report.job)
        assert ran.done == list(range(len(TEXTS)))


@in_virtual_time
async def test_a_kind_at_fault_while_a_worker_plans_stops_its_job(
    here: Path, awkward: Awkward
) -> None:
    database = f"sqlite:///{here}/batcher.db"
    events = Events()
    async with open_work(here, database=database) as work:
        async with worker(database, events):
            awkward.fault = "render"
            report = await work.runner.ask(job(work))
            watched = await work.runner.watch(report.job, on_live=lambda live: None)
            await asyncio.sleep(600)
        assert (watched.status, watched.exit_code) == ("failed", 1)
        assert "its render raised KeyError" in (watched.reason or "")
        assert len(events.of(Event.ERRAND_FAILED)) == 1
        assert work.stats.requests == 0


async def ended(work: Work, job_id: str) -> Report:
    """Wait until a job is not open any more."""
    while (report := await work.runner.status(job_id)).status == "open":
        await asyncio.sleep(1)
    return report
