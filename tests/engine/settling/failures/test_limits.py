"""Too large, out of credit, or too fast: what waits for a limit, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.virtual_time import EPOCH_WALL, in_virtual_time
from tests.engine.workbench import (
    GOOD,
    Ran,
    Work,
    audit,
    nothing_written,
    open_work,
    state_of,
    words,
)

# --- too large: split in half ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["413", "too_large", "429_too_large"])
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


@pytest.mark.parametrize("config", [{"tpm": 12}, {"max_request_tokens": 12}])
@in_virtual_time
async def test_a_single_row_above_a_limit_is_a_dead_letter(
    here: Path, config: dict[str, Any]
) -> None:
    """By the limit of a minute (429) and by that of a request (400)."""
    async with open_work(here, **config) as work:
        ran = await work.run(work.embed([*GOOD, "a word " * 12], max_inputs=2))

        assert ran.done == list(range(7))
        assert ran.failed == {7: ("request_too_large", 1)}
        assert ran.report.exit_code == 3


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


OUT_OF_CREDIT = {
    "429_quota": "insufficient_quota",
    "429_quota_type": "insufficient_quota",
    "429_credit_balance_exhausted": "credit_balance_exhausted",
    "429_billing_not_active": "billing_not_active",
    "429_billing_hard_limit_reached": "billing_hard_limit_reached",
    "429_project_spend_limit_exceeded": "project_spend_limit_exceeded",
    "429_organization_spend_limit_exceeded": "organization_spend_limit_exceeded",
    "429_organization_usage_limit_exceeded": "organization_usage_limit_exceeded",
    "400_hard_limit": "billing_hard_limit_reached",
    "402": "Insufficient Balance",
}


@pytest.mark.parametrize(("fault", "said"), OUT_OF_CREDIT.items())
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


WAITS = {
    "429_daily": 3600.0,
    "429_daily_seconds": 8.64,
    "429_long": 3600.0,
    "429_date_long": 3600.0,
    "azure_429_day": 86_400.0,
}


@pytest.mark.parametrize(("fault", "seconds"), WAITS.items())
@in_virtual_time
async def test_a_limit_for_a_long_time_pauses_the_job_and_says_until_when(
    here: Path, fault: str, seconds: float
) -> None:
    async with open_work(here) as work:
        spec = work.chat([*GOOD, f"[[fault={fault}*1]] b"], concurrency=1)
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (5, "paused")
        assert "for a longer pause" in (ran.report.reason or "")
        assert resume_seconds(work, ran) == pytest.approx(seconds, abs=2.0)
        assert (await work.runner.status(ran.report.job)).resume_at == ran.report.resume_at
        assert ran.report.rows_failed == 0
        assert nothing_written(work)
        assert (await work.run(spec)).done == list(range(8))


def resume_seconds(work: Work, ran: Ran) -> float | None:
    """In how many seconds the job may go on, as the report has it."""
    resume_at = ran.report.resume_at
    return None if resume_at is None else resume_at.timestamp() - EPOCH_WALL - work.now()


@in_virtual_time
async def test_a_daily_limit_without_a_header_says_the_time_in_its_message(here: Path) -> None:
    async with open_work(here, retry_after=False) as work:
        ran = await work.run(work.chat(["[[fault=429_daily]] a"]))

        assert ran.report.exit_code == 5
        assert resume_seconds(work, ran) == pytest.approx(3600, abs=2.0)


@pytest.mark.parametrize("fault", ["429_daily", "429_long", "azure_429_day"])
@in_virtual_time
async def test_many_rows_at_a_limit_for_long_are_halved_once_before_the_job_is_paused(
    here: Path, fault: str
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed([f"[[fault={fault}]] a", *GOOD]))

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0
        assert work.stats.by_status[429] == 2
        assert work.stats.requests <= 3


@in_virtual_time
async def test_a_request_that_azure_sends_away_for_a_day_fits_in_halves(here: Path) -> None:
    """A request above the limit of a minute: Azure does not say that it is too large."""
    async with open_work(here, tpm=40) as work:
        azure = {"base_url": work.simulator.url, "api_version": "2024-10-21"}
        ran = await work.run(work.embed(list(words(8)), **azure))

        assert ran.done == list(range(8))
        assert ran.report.exit_code == 0
        assert work.stats.by_status == {429: 1, 200: 2}


@pytest.mark.parametrize(("fault", "config"), [("429_bare", {}), ("429", {"retry_after": False})])
@in_virtual_time
async def test_a_quarter_of_an_hour_of_429_pauses_the_job(
    here: Path, fault: str, config: dict[str, Any]
) -> None:
    async with open_work(here, **config) as work:
        started = work.now()
        ran = await work.run(work.chat([f"[[fault={fault}]] a", f"[[fault={fault}]] b"]))

        assert (ran.report.exit_code, ran.report.status) == (5, "paused")
        assert "429" in (ran.report.reason or "")
        assert 900 <= work.now() - started < 980
        assert ran.report.rows_failed == 0
        assert work.stats.rate_limited == 0
        assert 15 < work.stats.requests < 100


@in_virtual_time
async def test_a_quarter_of_an_hour_of_429_says_when_the_last_wait_is_over(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        spec = work.chat([*words(3), *words(40, marker="[[fault=429_wait]]")], concurrency=1)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert ran.report.rows_done == 3
        left = resume_seconds(work, ran)
        assert left is not None
        assert 0 < left <= 100


@in_virtual_time
async def test_success_in_between_ends_the_quarter_of_an_hour(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [text for n in range(20) for text in (f"[[fault=429_wait*1]] {n}", f"good {n}")]
        started = work.now()
        ran = await work.run(work.chat(texts, concurrency=1))

        assert ran.done == list(range(40))
        assert work.now() - started > 1800


# --- rate limits: everyone waits, attempts untouched ----------------------------------------------


RATE_LIMITS = {
    "429": 0.2,  # `retry-after-ms`, though `retry-after` says 1
    "429_wait": 100.0,
    "429_date": 5.0,
    "429_slow_down": 0.2,
    "azure_429": 2.0,
    "azure_429_status": 2.0,
    "azure_429_no_code": 2.0,
    "429_html": None,
    "429_bare": None,
}


@pytest.mark.parametrize("fault", [fault for fault in RATE_LIMITS if fault != "429_wait"])
@pytest.mark.parametrize("should_retry", [None, False])
@in_virtual_time
async def test_a_rate_limit_takes_none_of_a_rows_attempts(
    here: Path, fault: str, should_retry: bool | None
) -> None:
    async with open_work(here, should_retry=should_retry) as work:
        texts = [*GOOD, f"[[fault={fault}*7]] a", f"[[fault={fault}*7]][[fault=400]] b"]
        ran = await work.run(work.chat(texts))

        assert ran.done == list(range(8))
        assert ran.failed == {8: ("invalid_value", 1)}
        assert work.stats.by_status[429] == 14
        assert ran.report.doubt_requests == 0


@pytest.mark.parametrize(("fault", "seconds"), RATE_LIMITS.items())
@in_virtual_time
async def test_everyone_waits_as_long_as_a_429_says(
    here: Path, fault: str, seconds: float | None
) -> None:
    async with open_work(here) as work:
        texts = [*words(3), f"[[fault={fault}*1]] a", *words(3, marker="after")]
        started = work.now()
        ran = await work.run(work.chat(texts, concurrency=1))

        assert ran.done == list(range(7))
        waited = work.now() - started
        if seconds is None:
            assert waited <= 2.0  # backoff: half a second at the most, and the run's own steps
        else:
            assert seconds - 1.0 < waited < seconds + 0.5


@in_virtual_time
async def test_after_slow_down_the_rate_comes_back_slowly(here: Path) -> None:
    """By at most half of it in a quarter of an hour; after any other 429 in less than a minute."""
    lost = {}
    for fault in ("429", "429_slow_down"):
        directory = here / fault
        directory.mkdir()
        async with open_work(directory, rpm=60, bucket_seconds=1) as work:
            texts = list(words(600))
            texts[30] += f" [[fault={fault}*1]]"
            started = work.now()
            ran = await work.run(work.chat(texts))
            assert ran.report.rows_done == 600
            lost[fault] = work.now() - started - 600

    assert lost["429"] < 20
    assert 45 < lost["429_slow_down"] < 90  # a quarter at first, none after 450 s


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
