"""Workers that share a database: each row once, whoever comes and goes. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from batcher.core.errors import InputError, StoreError
from batcher.core.model import StopCause
from batcher.engine.fleet.worker import MOST_FAILED_RUNS, FleetWorker
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.running.run import JobRun
from batcher.ports import Event
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import MIXED, audit, open_work, words


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/batcher.db"


@pytest.mark.parametrize("workers", [1, 3])
@in_virtual_time
async def test_what_workers_make_is_what_a_run_makes(
    tmp_path: Path, database: str, workers: int
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=200, rpm=600) as work:
        spec = work.chat(work.write(MIXED), rpm=600)
        undisturbed = await work.run(spec)
        async with _several(database, workers) as fleet:
            report = await work.runner.submit(spec, fresh=True)
            ran = await completed(work, report.job)
        assert ran.records == undisturbed.records
        assert ran.failed == undisturbed.failed
        assert len(fleet) == workers


@in_virtual_time
async def test_every_worker_takes_its_part(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=2_000) as work:
        events = Events()
        async with _several(database, 3, events):
            report = await work.runner.submit(work.chat(list(words(3_000)), concurrency=20))
            ran = await completed(work, report.job)
        assert ran.done == list(range(3_000))
        assert work.stats.inputs_served_twice == 0
        assert len(events.of(Event.JOB_SERVED)) == 3
        assert {facts["status"] for facts in events.of(Event.JOB_LEFT)} <= {
            "complete",
            "idle",
            "interrupted",
        }


@in_virtual_time
async def test_a_workers_concurrency_is_that_of_all_its_jobs(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        reports = []
        for priority, rows in (("high", 400), ("low", 100)):
            texts = list(words(rows))
            spec = work.chat(texts, concurrency=50, rpm=100_000, priority=priority, name=priority)
            reports.append(await work.runner.submit(spec))
        begun = asyncio.get_running_loop().time()
        async with worker(database, concurrency=10):
            for report in reports:
                await completed(work, report.job)
        seconds = asyncio.get_running_loop().time() - begun

        assert work.stats.max_in_flight == 10
        assert 50 <= seconds < 55
        high, low = [(await work.runner.status(r.job)).finished_at for r in reports]
        assert high is not None
        assert low is not None
        assert abs((high - low).total_seconds()) < 5  # shares of 4 to 1, as their rows are


@in_virtual_time
async def test_a_worker_that_stops_gives_its_leases_back_and_bills_nothing_twice(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=500) as work:
        report = await work.runner.submit(work.chat(list(words(2_000)), concurrency=20))
        stopped = 0
        while (await work.runner.status(report.job)).status != "complete":
            async with worker(database):
                await asyncio.sleep(7)
            stopped += 1
        ran = await completed(work, report.job)
        assert stopped > 3
        assert ran.done == list(range(2_000))
        assert work.stats.inputs_served_twice == 0
        assert ran.report.doubt_requests == 0


@in_virtual_time
async def test_a_worker_that_vanishes_is_replaced_when_its_leases_run_out(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        report = await work.runner.submit(work.chat(list(words(500)), concurrency=20))
        async with open_fleet(
            Settings(database_url=database), log=Events(), clock=LoopClock(), chance=Random(1)
        ) as lost:
            running = asyncio.create_task(lost.run())
            await asyncio.sleep(5)
            await _vanish(running)
            began = asyncio.get_running_loop().time()
            async with worker(database):
                ran = await completed(work, report.job)
            took = asyncio.get_running_loop().time() - began
        assert ran.done == list(range(500))
        assert 30 - 10 <= took < 30 + 5 + 500 / 20 + 5
        assert 0 < ran.report.doubt_requests <= 45
        audit(work, ran.report)


@in_virtual_time
async def test_workers_start_at_the_first_shard_of_a_plan(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=10) as work:
        sent: list[int] = []
        async with worker(database):
            report = await work.runner.submit(
                work.chat(list(words(5_000))),
                on_planned=lambda rows: sent.append(work.stats.requests),
            )
            ran = await completed(work, report.job)
        assert ran.done == list(range(5_000))
        assert sent[0] == 0


@in_virtual_time
async def test_the_same_job_submitted_twice_at_once_is_one(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(1_000)))
        first, second = await asyncio.gather(work.runner.submit(spec), work.runner.submit(spec))
        assert first.job == second.job
        async with worker(database):
            ran = await completed(work, first.job)
        assert ran.done == list(range(1_000))
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_plan_that_was_cut_short_is_finished_by_the_same_command(
    tmp_path: Path, database: str
) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(list(words(3_000)))

        def cut(rows: int) -> None:
            raise ConnectionAbortedError

        async with worker(database):
            with pytest.raises(ConnectionAbortedError):
                await work.runner.submit(spec, on_planned=cut)
            await asyncio.sleep(60)
            assert 0 < work.stats.requests < 3_000
            report = await work.runner.submit(spec)
            ran = await completed(work, report.job)
        assert ran.done == list(range(3_000))


@in_virtual_time
async def test_an_input_that_is_wrong_leaves_nothing_behind(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        spec = work.chat(work.write(["a", "b"]), id="nowhere")
        with pytest.raises(InputError, match="nowhere"):
            await work.runner.submit(spec)
        assert await work.runner.jobs() == []


@in_virtual_time
async def test_a_job_that_a_worker_has_no_credential_for_is_left_to_others(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path, database=database) as work:
        events = Events()
        monkeypatch.setenv("THEIR_SECRET", "s3cret")
        spec = work.chat(list(words(5)), headers={"Authorization": "Bearer $THEIR_SECRET"})
        report = await work.runner.submit(spec)
        monkeypatch.delenv("THEIR_SECRET")
        async with worker(database, events):
            await asyncio.sleep(30)
            assert work.stats.requests == 0
            assert len(events.of(Event.JOB_REFUSED)) == 1
            assert "THEIR_SECRET" in str(events.of(Event.JOB_REFUSED)[0]["reason"])
            monkeypatch.setenv("THEIR_SECRET", "s3cret")
            ran = await completed(work, report.job)
        assert ran.done == list(range(5))


@in_virtual_time
async def test_a_failing_job_does_not_hold_up_another(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        broke = work.chat(work.write(list(words(5, marker="[[fault=429_quota]]")), "broke.jsonl"))
        fine = work.embed(list(words(500)))
        async with worker(database):
            one = await work.runner.submit(broke)
            other = await work.runner.submit(fine)
            ran = await completed(work, other.job)
            assert ran.done == list(range(500))
            assert (await work.runner.status(one.job)).status == "paused"


@in_virtual_time
async def test_a_job_that_no_worker_can_run_ends_with_a_cause(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run raises that nobody foresaw; others go on, and it goes on once that is mended."""
    events = Events()
    async with open_work(tmp_path, database=database) as work:
        broke = await work.runner.submit(work.chat(work.write(list(words(5)), "broke.jsonl")))
        run = JobRun.run

        async def fail(self: JobRun) -> Ending:
            if self._work.job.id == broke.job:
                raise ZeroDivisionError("a row that is quoted")
            return await run(self)

        monkeypatch.setattr(JobRun, "run", fail)
        async with worker(database, events):
            watched = await work.runner.watch(broke.job, on_live=lambda live: None)
            fine = await work.runner.submit(work.embed(list(words(50))))
            assert (await completed(work, fine.job)).done == list(range(50))
            await asyncio.sleep(300)
        assert (watched.status, watched.exit_code) == ("failed", 1)
        assert watched.cause is StopCause.RUN
        assert "given up after 10 runs in a row" in str(watched.reason)
        assert "ZeroDivisionError in test_fleet.py" in str(watched.reason)
        assert "quoted" not in str(watched.reason)
        assert len(events.of(Event.JOB_FAILED)) == MOST_FAILED_RUNS

        monkeypatch.setattr(JobRun, "run", run)
        await work.runner.resume(broke.job)
        async with worker(database):
            assert (await completed(work, broke.job)).done == list(range(5))


@pytest.mark.parametrize("error", [StoreError("away"), OSError("away"), MemoryError()])
@in_virtual_time
async def test_what_may_pass_ends_no_job(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async with open_work(tmp_path, database=database) as work:
        run = JobRun.run
        failures = 30

        async def fail(self: JobRun) -> Ending:
            nonlocal failures
            failures -= 1
            if failures > 0:
                raise error
            return await run(self)

        monkeypatch.setattr(JobRun, "run", fail)
        async with worker(database):
            report = await work.runner.submit(work.chat(list(words(5))))
            ran = await completed(work, report.job)
        assert ran.done == list(range(5))


@in_virtual_time
async def test_runs_that_fail_but_come_further_go_on(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        run = JobRun.run

        async def fail(self: JobRun) -> Ending:
            asyncio.get_running_loop().call_later(3.0, self.end, Endings.interrupted())
            ending = await run(self)
            if ending.status == "interrupted":
                raise ZeroDivisionError
            return ending

        monkeypatch.setattr(JobRun, "run", fail)
        async with worker(database):
            report = await work.runner.submit(work.chat(list(words(60)), concurrency=1))
            ran = await completed(work, report.job)
        assert ran.done == list(range(60))


@in_virtual_time
async def test_pausing_and_resuming_by_hand(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        async with worker(database):
            report = await work.runner.submit(work.chat(list(words(1_000)), concurrency=10))
            await asyncio.sleep(20)
            await work.runner.pause(report.job)
            await asyncio.sleep(15)
            sent = work.stats.requests
            assert 0 < sent < 1_000
            await asyncio.sleep(60)
            assert work.stats.requests == sent
            await work.runner.resume(report.job)
            ran = await completed(work, report.job)
        assert ran.done == list(range(1_000))
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_job_paused_until_a_time_goes_on_by_itself(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database) as work:
        texts = [*words(30), "[[fault=429_daily*1]] and one more"]
        async with worker(database):
            report = await work.runner.submit(work.chat(texts))
            await asyncio.sleep(30)
            paused = await work.runner.status(report.job)
            assert paused.status == "paused"
            assert paused.resume_at is not None
            while (await work.runner.status(report.job)).status != "complete":
                await asyncio.sleep(60)
            ran = await completed(work, report.job)
        assert ran.done == list(range(31))


@pytest.mark.parametrize("workers", [1, 4])
@in_virtual_time
async def test_a_budget_is_one_for_all_workers(tmp_path: Path, database: str, workers: int) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        spec = work.chat(
            list(words(3_000)), concurrency=10, price="1,1", max_cost=Decimal("0.02"), max_tokens=16
        )
        async with _several(database, workers):
            report = await work.runner.submit(spec)
            ran = await completed(work, report.job)
        assert ran.report.status == "paused"
        assert ran.report.cost_usd is not None
        assert 0.018 <= ran.report.cost_usd <= 0.02
        audit(work, ran.report)


@in_virtual_time
async def test_workers_say_that_they_live_and_what_they_hold(tmp_path: Path, database: str) -> None:
    async with open_work(tmp_path, database=database, latency_ms=1_000) as work:
        report = await work.runner.submit(work.chat(list(words(5_000)), concurrency=10))
        async with _several(database, 2):
            await asyncio.sleep(20)
            states = await work.runner.workers()
            assert [state.alive for state in states] == [True, True]
            assert all(state.holds.get(report.job, 0) > 0 for state in states)
        assert await work.runner.workers() == []
        await work.runner.cancel(report.job)


@asynccontextmanager
async def _several(
    database: str, workers: int, events: Events | None = None
) -> AsyncIterator[list[FleetWorker]]:
    if workers == 0:
        yield []
        return
    async with _several(database, workers - 1, events) as others, worker(database, events) as one:
        yield [*others, one]


async def _vanish(running: asyncio.Task[None]) -> None:
    """End a worker as SIGKILL would: nothing is settled, written or given back."""
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
