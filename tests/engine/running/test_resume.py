"""A run may end at any moment; the next one goes on, and the output is the same to the byte."""

from __future__ import annotations

import asyncio
from itertools import accumulate, count
from pathlib import Path
from typing import Any

import pytest

from batcher.core.job.spec import JobSpec
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import MIXED, Work, audit, cancelled_ever_later, open_work, words


def job_of(work: Work, kind: str, texts: str = "", **settings: Any) -> JobSpec:
    given = texts or MIXED
    if kind == "embed":
        return work.embed(given, max_inputs=3, concurrency=6, **settings)
    return work.chat(given, concurrency=6, **settings)


async def uninterrupted(here: Path, kind: str) -> tuple[bytes, bytes]:
    """The bytes of the output and of the errors of one quiet run."""
    (here / "quiet").mkdir()
    async with open_work(here / "quiet") as work:
        await work.run(job_of(work, kind))
    return files(here / "quiet")


def files(directory: Path) -> tuple[bytes, bytes]:
    output = directory / "out.jsonl"
    return output.read_bytes(), output.with_name("out.jsonl.errors.jsonl").read_bytes()


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("database", ["memory://", "state/b.db"])
@in_virtual_time
async def test_an_interrupted_run_settles_what_is_in_flight_and_the_next_one_goes_on(
    here: Path, kind: str, database: str
) -> None:
    expected = await uninterrupted(here, kind)
    async with open_work(here, latency_ms=300, database=database) as work:
        spec = job_of(work, kind)
        ends = []
        for answers in (1, 5, 9, 14, 20):

            async def stop_after(answers: int = answers) -> None:
                while work.stats.requests_served < answers:
                    await asyncio.sleep(0.05)
                assert work.runner.interrupt()

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(stop_after())
                ran = await work.run(spec)
            ends.append((ran.report.exit_code, ran.report.status))
            assert not (here / "out.jsonl").exists()
            assert ran.report.doubt_requests == 0

        assert ends == [(130, "interrupted")] * 5
        finished = await work.run(spec)
        assert finished.report.exit_code == 3
        assert files(here) == expected
        assert work.stats.inputs_served_twice == 0  # everything in flight was waited for
        audit(work, finished.report)


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("step", [3, 17])
@in_virtual_time
async def test_a_run_that_is_cancelled_anywhere_goes_on_where_it_was(
    here: Path, kind: str, step: int
) -> None:
    expected = await uninterrupted(here, kind)
    async with open_work(here, latency_ms=100, database="state/b.db") as work:
        spec = job_of(work, kind, work.write(MIXED))
        turns = accumulate(step * (1 + number // 8) for number in count())
        ran, cancelled = await cancelled_ever_later(work, spec, turns)

        assert cancelled > 10
        assert ran.report.exit_code == 3
        assert files(here) == expected
        audit(work, ran.report)


@in_virtual_time
async def test_a_cancelled_run_leaves_no_lease_that_its_own_runner_must_wait_for(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=1000, lease_seconds=300.0) as work:
        spec = work.chat(list(words(30)), concurrency=5)
        task = asyncio.create_task(work.run(spec))
        await asyncio.sleep(2.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        started = work.now()
        ran = await work.run(spec)

        assert ran.done == list(range(30))
        assert work.now() - started < 30


@in_virtual_time
async def test_a_shard_that_is_lost_to_another_owner_is_written_by_one_of_them(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=200) as work:
        spec = work.chat(list(words(60)), concurrency=4)
        store = work.runner._services.store

        async def thief() -> None:
            await asyncio.sleep(1)
            (report,) = await work.runner.jobs()
            await store.reclaim(report.job, except_owner="thief")
            assert await store.claim(report.job, "thief", limit=9, ttl_seconds=20.0)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(thief())
            ran = await work.run(spec)

        assert ran.done == list(range(60))
        assert ran.report.rows_done == 60
        audit(work, ran.report)
