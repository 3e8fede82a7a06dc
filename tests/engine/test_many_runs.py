"""One runner, several jobs at once: each ends by itself, and each can be interrupted by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import JobInUse
from batcher.engine.job.report import Report
from batcher.engine.telemetry.run_stats import RunStats
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words

ROWS = 400
SLOW_MS = 1_000.0


class Begun:
    """A run that was begun, and its live figures once it sends."""

    def __init__(self, work: Work, name: str, rows: int = ROWS) -> None:
        self._live: asyncio.Future[RunStats] = asyncio.get_running_loop().create_future()
        source = work.write(list(words(rows, marker=name)), f"{name}.jsonl")
        self.spec = work.embed(source, max_inputs=1, concurrency=8)
        self.output = work.path(f"{name}.out.jsonl")
        self.task: asyncio.Task[Report] = asyncio.create_task(
            work.runner.run(self.spec, output=str(self.output), on_live=self._live.set_result)
        )

    async def sends(self) -> RunStats:
        """Its figures, when it has sent something."""
        ended: list[asyncio.Future[Any]] = [self._live, self.task]
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        if not self._live.done():
            await self.task  # which raises what kept it from sending
        live = await self._live
        while not live.rows_done:
            await asyncio.sleep(0.1)
        return live


@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@in_virtual_time
async def test_several_jobs_run_at_once_and_each_is_whole(here: Path, database: str) -> None:
    async with open_work(here, database=database, latency_ms=SLOW_MS) as work:
        begun = [Begun(work, f"job{number}") for number in range(3)]
        lives = [await run.sends() for run in begun]
        assert set(work.runner.running) == {live.job for live in lives}
        assert len(list(work.runner.running)) == 3
        reports = await asyncio.gather(*(run.task for run in begun))
        assert not list(work.runner.running)
        assert [report.exit_code for report in reports] == [0, 0, 0]
        assert [report.rows_done for report in reports] == [ROWS] * 3
        assert work.stats.inputs_served == 3 * ROWS
        assert [len(run.output.read_bytes().splitlines()) for run in begun] == [ROWS] * 3


@in_virtual_time
async def test_one_of_them_is_interrupted_and_the_others_go_on(here: Path) -> None:
    async with open_work(here, latency_ms=SLOW_MS) as work:
        stopped, other = Begun(work, "stopped"), Begun(work, "other")
        live = await stopped.sends()
        await other.sends()
        assert work.runner.interrupt(live.job)
        report = await stopped.task
        assert (report.job, report.status, report.exit_code) == (live.job, "interrupted", 130)
        assert 0 < report.rows_done < ROWS
        assert not stopped.output.exists()
        assert work.runner.running == ((await other.sends()).job,)
        assert not work.runner.interrupt(live.job)
        assert (await other.task).rows_done == ROWS
        again = await work.runner.run(stopped.spec, output=str(stopped.output))
        assert (again.job, again.rows_done) == (live.job, ROWS)
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_without_a_job_all_are_interrupted(here: Path) -> None:
    async with open_work(here, latency_ms=SLOW_MS) as work:
        begun = [Begun(work, "one"), Begun(work, "two")]
        for run in begun:
            await run.sends()
        assert work.runner.interrupt()
        reports = await asyncio.gather(*(run.task for run in begun))
        assert [report.status for report in reports] == ["interrupted"] * 2
        assert not work.runner.interrupt()


@in_virtual_time
async def test_one_that_is_cancelled_or_fails_leaves_the_others_alone(here: Path) -> None:
    async with open_work(here, latency_ms=SLOW_MS) as work:
        cancelled, other = Begun(work, "cancelled"), Begun(work, "other")
        await cancelled.sends()
        cancelled.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled.task
        assert work.runner.running == ((await other.sends()).job,)
        assert (await other.task).exit_code == 0


@in_virtual_time
async def test_the_same_job_does_not_run_twice_at_once(here: Path) -> None:
    async with open_work(here, database="state/b.db", latency_ms=SLOW_MS) as work:
        one = Begun(work, "one")
        live = await one.sends()
        with pytest.raises(JobInUse):
            await work.runner.run(one.spec, output=str(one.output))
        assert work.runner.running == (live.job,)
        assert work.runner.interrupt(live.job)
        assert (await one.task).status == "interrupted"
