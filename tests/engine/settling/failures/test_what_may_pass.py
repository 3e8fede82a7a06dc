"""Failures that may pass: tried again, and a row's own only if others succeed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.providers.http import HttpProvider
from batcher.core.errors import TransportError
from batcher.ports import Reply
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, audit, open_work, words

PASSING = [
    *("408", "409", "500", "500_vllm", "501", "502_html", "503", "504_html", "529", "azure_408"),
    *("disconnect", "reset", "garbage", "truncated"),
]
POSSIBLY_BILLED = {"disconnect", "reset", "garbage", "truncated", "hang"}


@pytest.mark.parametrize("fault", [*PASSING, "hang"])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_a_failure_that_passes_is_tried_again(here: Path, fault: str, kind: str) -> None:
    async with open_work(here) as work:
        texts = [*GOOD, f"[[fault={fault}*3]] a"]
        more: dict[str, Any] = {"timeout": 5.0}
        spec = work.embed(texts, **more) if kind == "embed" else work.chat(texts, **more)
        ran = await work.run(spec)

        assert ran.done == list(range(8))
        assert ran.report.exit_code == 0
        assert work.stats.faults[fault] == 3
        assert ran.report.doubt_requests == (3 if fault in POSSIBLY_BILLED else 0)
        assert ran.report.requests == work.stats.requests
        audit(work, ran.report, halved=1 if kind == "embed" else 0)


@pytest.mark.parametrize("fault", [*PASSING, "hang"])
@in_virtual_time
async def test_a_failure_of_one_row_alone_is_a_dead_letter_after_six_attempts(
    here: Path, fault: str
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, f"[[fault={fault}]] a", *words(500, marker="more")]
        ran = await work.run(work.chat(texts, concurrency=5, timeout=5.0))

        assert [row for row, (_, attempts) in ran.failed.items() if attempts == 6] == [7]
        assert len(ran.done) == len(texts) - 1
        assert work.stats.faults[fault] == 6
        assert ran.report.exit_code == 3
        audit(work, ran.report)


@in_virtual_time
async def test_a_failure_of_many_rows_is_split_while_others_succeed(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = ["a", "b [[fault=500]]", "c", "d", *words(400)]
        ran = await work.run(work.embed(texts, max_inputs=4, concurrency=2))

        assert ran.failed == {1: ("server_error", 6)}
        assert len(ran.done) == len(texts) - 1
        assert work.stats.faults["500"] == 15  # 6 of 4, 3 of 2, and 6 alone


@pytest.mark.parametrize("fault", ["408", "409", "500", "500_vllm", "501", "502_html", "503"])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_an_error_that_the_provider_calls_final_is_not_tried_six_times(
    here: Path, fault: str, kind: str
) -> None:
    async with open_work(here, latency_ms=1000, should_retry=False) as work:
        texts = [*GOOD, f"[[fault={fault}]] a", *words(60)]
        spec = work.chat(texts, concurrency=2)
        if kind == "embed":
            spec = work.embed(texts, concurrency=2, max_inputs=2)
        ran = await work.run(spec)

        assert list(ran.failed) == [7]
        assert work.stats.faults[fault] <= (2 if kind == "chat" else 4)  # of two rows, and alone


@in_virtual_time
async def test_what_one_error_says_of_trying_again_holds_for_that_request_alone(
    here: Path,
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, "[[fault=500_final]] a", "[[fault=500*3]] b", *words(60)]
        ran = await work.run(work.chat(texts, concurrency=2))

        assert [code for code, _ in ran.failed.values()] == ["server_error"]
        assert list(ran.failed) == [7]
        assert work.stats.faults["500_final"] <= 2


@in_virtual_time
async def test_should_retry_gives_no_more_than_six_attempts(here: Path) -> None:
    async with open_work(here, latency_ms=1000, should_retry=True) as work:
        texts = [*GOOD, "[[fault=500]] a", *words(500)]
        ran = await work.run(work.chat(texts, concurrency=4))

        assert ran.failed == {7: ("server_error", 6)}
        assert work.stats.faults["500"] == 6


@in_virtual_time
async def test_backoff_doubles_from_half_a_second(here: Path) -> None:
    """The waits before the fifth failure are 7.5 s at the most, 3.75 s on an average."""
    async with open_work(here, latency_ms=100) as work:
        texts = [*words(40, marker="[[fault=503*5]]"), *words(1500)]
        ends: list[float] = []

        async def watch() -> None:
            while work.stats.faults["503"] < 200:
                await asyncio.sleep(0.05)
            ends.append(work.now())

        started = work.now()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            ran = await work.run(work.chat(texts, rpm=6000, concurrency=60))

        assert ran.report.rows_done == 1540
        assert 4.5 < ends[0] - started < 10  # of 40 rows one comes near the most


@in_virtual_time
async def test_a_busy_provider_is_left_alone_as_long_as_it_asks(here: Path) -> None:
    async with open_work(here) as work:
        started = work.now()
        ran = await work.run(work.chat(["[[fault=503_wait*1]] a"]))

        assert ran.done == [0]
        assert 20 <= work.now() - started < 23


@in_virtual_time
async def test_the_last_row_of_a_job_gets_its_six_attempts_too(here: Path) -> None:
    """Nobody is left to succeed beside it, but others did since it first failed."""
    async with open_work(here, latency_ms=100) as work:
        ran = await work.run(work.chat(["[[fault=500]] a", *GOOD], concurrency=4))

        assert ran.failed == {0: ("server_error", 6)}
        assert ran.done == list(range(1, 8))


@pytest.mark.parametrize("rows", [1, 12])
@in_virtual_time
async def test_rows_that_fail_once_more_when_they_are_retried_alone_end_again(
    here: Path, rows: int
) -> None:
    """Nobody succeeds beside them, but others did when they failed before."""
    async with open_work(here, latency_ms=100) as work:
        spec = work.chat([*[f"[[fault=500]] {number}" for number in range(rows)], *GOOD])
        failed = (await work.run(spec)).failed
        job = (await work.runner.jobs())[0].job

        await work.runner.retry(job)
        began = work.now()
        ran = await work.run(spec)
        assert ran.failed.keys() == failed.keys() == set(range(rows))
        assert ran.report.exit_code == 3
        if rows == 1:  # of many it may be the provider's fault: they are tried as in an outage
            assert work.now() - began < 30


@in_virtual_time
async def test_rows_that_are_retried_while_nobody_is_there_do_not_fail_for_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> Reply:
        raise TransportError("connect", "no connection: Connection refused", maybe_billed=False)

    async with open_work(here, latency_ms=100) as work:
        spec = work.chat(["[[fault=500*6]] a", *GOOD])
        ran = await work.run(spec)
        assert ran.failed == {0: ("server_error", 6)}

        await work.runner.retry(ran.report.job)
        with monkeypatch.context() as patch:
            patch.setattr(HttpProvider, "post", refuse)
            ran = await work.run(spec)
        assert (ran.report.exit_code, ran.report.status) == (5, "paused")
        assert "no connection: Connection refused" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert (await work.run(spec)).done == list(range(8))
