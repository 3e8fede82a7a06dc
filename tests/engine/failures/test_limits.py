"""Too large, out of credit, or too fast: what waits for a limit, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, audit, nothing_written, open_work, state_of, words

# --- too large: split in half ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["413", "too_large"])
@in_virtual_time
async def test_a_request_that_is_too_large_is_halved_until_one_row_is_left(
    here: Path, fault: str
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed([*GOOD, f"[[fault={fault}]] large"]))

        assert ran.done == list(range(7))
        assert ran.failed == {7: ("request_too_large", 1)}
        assert ran.report.exit_code == 3
        assert work.stats.requests == 7  # of 8, 4+4, 2+2, 1+1
        assert ran.report.requests == 7
        audit(work, ran.report)


@in_virtual_time
async def test_more_tokens_than_a_request_may_have_are_split(here: Path) -> None:
    async with open_work(here, max_request_tokens=12) as work:
        ran = await work.run(work.embed(GOOD))

        assert ran.done == list(range(7))
        assert ran.report.exit_code == 0
        assert work.stats.by_status[400] == 3


@in_virtual_time
async def test_a_request_above_the_limit_of_a_minute_is_split_whatever_the_code(
    here: Path,
) -> None:
    async with open_work(here, tpm=25) as work:
        ran = await work.run(work.embed(GOOD))

        assert ran.done == list(range(7))
        assert ran.failed == {}
        assert work.stats.by_status[429] <= 3


# --- out of credit: paused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"), [("429_quota", "insufficient_quota"), ("402", "Insufficient Balance")]
)
@in_virtual_time
async def test_without_credit_the_job_is_paused_and_goes_on_later(
    here: Path, fault: str, said: str
) -> None:
    async with open_work(here) as work:
        spec = work.embed([f"[[fault={fault}*1]] a", *GOOD], max_inputs=2)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert ran.report.status == "paused"
        assert said in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.stats.requests == 1
        assert nothing_written(work)
        assert (await state_of(work, ran)).startswith("paused: the provider says")

        again = await work.run(spec)
        assert again.done == list(range(8))
        assert again.report.job == ran.report.job
        assert again.report.exit_code == 0
        assert work.stats.requests == 5


# --- a limit for a long time: paused --------------------------------------------------------------


@in_virtual_time
async def test_a_daily_limit_pauses_the_job_and_says_until_when(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.chat([*GOOD, "[[fault=429_daily*1]] b"], concurrency=1)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert "for a longer time" in (ran.report.reason or "")
        assert ran.report.resume_at is not None
        assert ran.report.rows_failed == 0
        assert nothing_written(work)
        assert (await work.run(spec)).done == list(range(8))


@in_virtual_time
async def test_many_rows_at_a_daily_limit_are_halved_once_before_the_job_is_paused(
    here: Path,
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed(["[[fault=429_daily]] a", *GOOD]))

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0
        assert work.stats.by_status[429] == 2
        assert work.stats.requests <= 3


@in_virtual_time
async def test_a_quarter_of_an_hour_of_429_pauses_the_job(here: Path) -> None:
    async with open_work(here, retry_after=False) as work:
        ran = await work.run(work.chat(["[[fault=429]] a", "[[fault=429]] b"]))

        assert ran.report.exit_code == 5
        assert "429" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert work.stats.rate_limited == 0
        assert 15 < work.stats.requests < 100


# --- rate limits: everyone waits, attempts untouched ----------------------------------------------


@pytest.mark.parametrize("fault", ["429", "429_slow_down"])
@in_virtual_time
async def test_a_rate_limit_takes_none_of_a_rows_attempts(here: Path, fault: str) -> None:
    async with open_work(here) as work:
        texts = [*GOOD, f"[[fault={fault}*9]] a", f"[[fault={fault}*9]][[fault=400]] b"]
        ran = await work.run(work.chat(texts))

        assert ran.done == list(range(8))
        assert ran.failed == {8: ("invalid_value", 1)}
        assert work.stats.by_status[429] == 18
        assert ran.report.doubt_requests == 0


@in_virtual_time
async def test_the_429s_of_one_burst_pause_everyone_once(here: Path) -> None:
    """Without ``retry-after`` the pause grows by episodes, not by the number of requests."""
    async with open_work(here, retry_after=False, latency_ms=50) as work:
        texts = [*words(60), *words(40, marker="[[fault=429*1]]")]
        started = work.now()
        ran = await work.run(work.chat(texts, rpm=1_000_000))

        assert ran.done == list(range(100))
        assert work.now() - started < 10


@in_virtual_time
async def test_a_429_that_says_wait_for_nothing_is_not_answered_by_a_hail_of_requests(
    here: Path,
) -> None:
    async with open_work(here, rpm=2, rate_limit_headers=False, retry_after=False) as work:
        ran = await work.run(work.chat(list(words(8))))

        assert ran.done == list(range(8))
        assert work.stats.rate_limited < 40
