"""An outage fails no row, is asked after rarely, and pauses the job in the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Ran, Work, open_work, words


async def run_through_an_outage(
    work: Work, texts: list[str], *, kind: str, after: float, seconds: float
) -> tuple[Ran, int]:
    """Run a job with an outage in its middle; also returns how many probes came in it."""
    seen: list[int] = []

    async def provider_fails() -> None:
        await asyncio.sleep(after)
        work.simulator.configure(outage=kind)
        await asyncio.sleep(31)
        seen.append(work.stats.requests)
        await asyncio.sleep(seconds - 31)
        seen.append(work.stats.requests)
        work.simulator.configure(outage=None)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(provider_fails())
        ran = await work.run(work.chat(texts, concurrency=5))
    return ran, seen[1] - seen[0]


@pytest.mark.parametrize("kind", ["503", "reset"])
@in_virtual_time
async def test_ten_minutes_of_outage_fail_no_row(here: Path, kind: str) -> None:
    """Not even those that had failed before it."""
    async with open_work(here, latency_ms=1000, output_tokens=4) as work:
        texts = list(words(80, marker="[[fault=500*2]]")) + list(words(40))
        ran, asked = await run_through_an_outage(work, texts, kind=kind, after=30, seconds=600)

        assert ran.report.exit_code == 0
        assert ran.done == list(range(120))
        assert work.now() > 1630
        assert asked < 60


@in_virtual_time
async def test_a_blip_of_some_seconds_fails_no_row(here: Path) -> None:
    async with open_work(here, latency_ms=100) as work:
        texts = list(words(120, marker="[[fault=500*2]]"))

        async def provider_fails() -> None:
            await asyncio.sleep(2)
            work.simulator.configure(outage="503")
            await asyncio.sleep(25)
            work.simulator.configure(outage=None)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(provider_fails())
            ran = await work.run(work.chat(texts, concurrency=5))

        assert ran.report.exit_code == 0
        assert len(ran.done) == 120


@in_virtual_time
async def test_a_row_that_fails_by_itself_is_still_a_dead_letter_after_an_outage(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = ["[[fault=500]] a", *words(200)]
        ran, _ = await run_through_an_outage(work, texts, kind="503", after=10, seconds=100)

        assert [attempts for _, attempts in ran.failed.values()] == [6]
        assert len(ran.done) == 200


@in_virtual_time
async def test_after_the_outage_timeout_the_job_is_paused_and_goes_on_later(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = list(words(60))
        spec = work.chat(texts, concurrency=5, outage_timeout=120.0)

        async def provider_fails() -> None:
            await asyncio.sleep(5)
            work.simulator.configure(outage="503")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(provider_fails())
            ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert ran.report.status == "paused"
        assert "no request succeeded for" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert 0 < ran.report.rows_done < 60
        assert 1120 <= work.now() < 1140

        work.simulator.configure(outage=None)
        again = await work.run(spec)
        assert again.done == list(range(60))
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_provider_that_was_never_there_pauses_the_job(here: Path) -> None:
    """Nothing listens: a refused connection is not billed, and no key is needed to find out."""
    async with open_work(here) as work:
        spec = work.chat(list(words(30)), base_url="http://127.0.0.1:9/v1", outage_timeout=60.0)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0
        assert ran.report.doubt_requests == 0


@in_virtual_time
async def test_errors_that_the_provider_calls_final_do_not_bury_rows_in_an_outage(
    here: Path,
) -> None:
    async with open_work(here) as work:
        texts = list(words(30, marker="[[fault=500_final]]"))
        ran = await work.run(work.chat(texts, outage_timeout=60.0))

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0
