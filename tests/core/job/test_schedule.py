"""Which due time counts, and what of an outage is made up for (`batcher.core.job.schedule`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.job.schedule import ON_TIME, Decision, Missed, decide, latest

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Every:
    """Due at the start, and so often after it."""

    def __init__(self, step: timedelta) -> None:
        self.step = step
        self.asked = 0

    def after(self, moment: datetime) -> datetime | None:
        self.asked += 1
        if moment < START:
            return START
        return START + ((moment - START) // self.step + 1) * self.step


class Once:
    """Due at the start and never again."""

    def after(self, moment: datetime) -> datetime | None:
        return START if moment < START else None


def test_nothing_is_decided_before_the_time() -> None:
    before = START - timedelta(microseconds=1)
    assert decide(Every(HOUR), next_due=START, now=before, missed=Missed.SKIP) is None
    assert decide(Every(HOUR), next_due=None, now=START, missed=Missed.SKIP) is None


@pytest.mark.parametrize("missed", Missed)
def test_at_its_time_it_fires_and_is_due_again_next_time(missed: Missed) -> None:
    decision = decide(Every(HOUR), next_due=START, now=START, missed=missed)
    assert decision == Decision(due=START, skipped=None, next_due=START + HOUR)


@pytest.mark.parametrize("missed", Missed)
def test_a_firing_that_is_a_little_late_is_on_time(missed: Missed) -> None:
    decision = decide(Every(HOUR), next_due=START, now=START + ON_TIME, missed=missed)
    assert decision == Decision(due=START, skipped=None, next_due=START + HOUR)


def test_of_what_an_outage_missed_the_last_is_run_once() -> None:
    now = START + 5 * HOUR + 10 * MINUTE
    decision = decide(Every(HOUR), next_due=START, now=now, missed=Missed.RUN_ONCE)
    assert decision == Decision(due=START + 5 * HOUR, skipped=None, next_due=START + 6 * HOUR)


def test_what_an_outage_missed_is_skipped_where_that_is_wanted() -> None:
    now = START + 5 * HOUR + 10 * MINUTE
    decision = decide(Every(HOUR), next_due=START, now=now, missed=Missed.SKIP)
    assert decision == Decision(
        due=START + 5 * HOUR,
        skipped="missed: no worker was running until 10 min later",
        next_due=START + 6 * HOUR,
    )


def test_after_an_outage_that_ends_at_a_due_time_that_one_runs() -> None:
    decision = decide(Every(HOUR), next_due=START, now=START + 5 * HOUR, missed=Missed.SKIP)
    assert decision == Decision(due=START + 5 * HOUR, skipped=None, next_due=START + 6 * HOUR)


@pytest.mark.parametrize(
    ("late", "said"), [(2 * MINUTE, "2 min"), (5 * HOUR, "5 h"), (3 * DAY, "3 days")]
)
def test_how_late_it_was_is_said_in_words(late: timedelta, said: str) -> None:
    decision = decide(Once(), next_due=START, now=START + late, missed=Missed.SKIP)
    assert decision is not None
    assert decision.skipped == f"missed: no worker was running until {said} later"


def test_a_last_due_time_is_followed_by_none() -> None:
    decision = decide(Once(), next_due=START, now=START + HOUR, missed=Missed.RUN_ONCE)
    assert decision == Decision(due=START, skipped=None, next_due=None)


def test_an_outage_of_years_of_minutes_is_decided_in_few_steps() -> None:
    every = Every(MINUTE)
    now = START + 3 * 365 * DAY
    decision = decide(every, next_due=START, now=now, missed=Missed.RUN_ONCE)
    assert decision is not None
    assert decision.due == now
    assert every.asked < 20


@given(st.integers(1, 10**6), st.integers(0, 10**8))
def test_the_latest_is_found_wherever_it_is(step: int, passed: int) -> None:
    every, now = Every(timedelta(seconds=step)), START + timedelta(seconds=passed)
    assert latest(every, first=START, now=now) == START + (passed // step) * every.step


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=30), st.integers(10, 500))
def test_every_due_time_is_decided_at_most_once_and_in_order(gaps: list[int], step: int) -> None:
    every = Every(timedelta(seconds=step))
    now, next_due = START, every.after(START)
    seen: list[datetime] = []
    for gap in gaps:
        now += timedelta(seconds=gap)
        decision = decide(every, next_due=next_due, now=now, missed=Missed.RUN_ONCE)
        if decision is not None:
            seen.append(decision.due)
            next_due = decision.next_due
            assert decision.due <= now < (next_due or now + MINUTE)
    assert seen == sorted(set(seen))
