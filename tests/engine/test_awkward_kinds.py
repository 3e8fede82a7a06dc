"""A kind that is at fault ends its job in good order: said plainly, nothing lost, and resumable."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from batcher.core.errors import KindFailed
from batcher.core.kind import Shape
from batcher.core.spec import JobSpec
from tests.engine.awkward_kind import KIND, Awkward
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, audit, nothing_written, open_work, words

TEXTS = [*words(20), *words(5, marker="late")]


@pytest.fixture
def awkward(monkeypatch: pytest.MonkeyPatch) -> Iterator[Awkward]:
    """The kind, installed, and without a fault after the test."""
    entry = EntryPoint(
        name="awkward", value="tests.engine.awkward_kind:KIND", group="batcher.kinds"
    )
    monkeypatch.setattr(
        "batcher.adapters.kinds.entry_points", lambda group: [*entry_points(group=group), entry]
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
    "text": "its parse returned a result that is a str, not bytes",
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
