"""The arithmetic of reservations, against a reference that knows only sums over time."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import HORIZON_SECONDS
from tests.core.throttle.quota_steps import START, drain, quota, told

costs_lists = st.lists(st.integers(0, 900), min_size=1, max_size=60)


def assert_within(
    sends: list[tuple[float, float]], rate: float, capacity: float, largest: float
) -> None:
    """In every span of time at most capacity + rate x time; a request beyond it is sent alone."""
    for first in range(len(sends)):
        total = 0.0
        for when, amount in sends[first:]:
            total += amount
            span = when - sends[first][0]
            assert total <= max(capacity, largest) + rate * span + largest * 1e-9 + 1e-6


@settings(deadline=None)
@given(costs_lists, st.integers(1, 6000), st.integers(60, 60_000))
def test_no_window_holds_more_than_the_capacity_and_the_rate(
    costs: list[int], rpm: int, tpm: int
) -> None:
    tickets = drain(quota(rpm, tpm), costs)
    # The first request of all is free to go: it teaches the limits.
    sends = [(t.send_at, 1.0) for t in tickets[1:]]
    assert_within(sends, rpm / 60, 5 * rpm / 60, 1.0)
    tokens = [(t.send_at, float(t.cost.tokens)) for t in tickets[1:]]
    assert_within(tokens, tpm / 60, 5 * tpm / 60, float(max(costs)))


@settings(deadline=None)
@given(costs_lists, st.integers(60, 6000), st.integers(60, 60_000))
def test_first_come_is_first_served(costs: list[int], rpm: int, tpm: int) -> None:
    tickets = drain(quota(rpm, tpm), costs)
    assert [t.cost.tokens for t in tickets] == costs
    times = [t.send_at for t in tickets]
    assert times == sorted(times)
    assert times[0] == START


@settings(deadline=None)
@given(costs_lists, st.integers(600, 6000))
def test_the_budget_is_used_up(costs: list[int], rpm: int) -> None:
    """What waits, waits for a bucket and for nothing else."""
    tickets = drain(quota(rpm), costs)
    rate = rpm / 60
    late = tickets[-1].send_at - START
    assert late <= max(0.0, (len(costs) - rate) / rate) + 1 / rate + 1e-6


def test_without_limits_more_and_more_is_released() -> None:
    """What nobody limits may yet have a limit: then what is on its way is refused as well."""
    state = QuotaState()
    tickets = drain(state, [10**9] * 1000)
    times = [ticket.send_at - START for ticket in tickets]
    assert times[0] == 0
    assert times[16] == pytest.approx(0.55, abs=0.05)
    assert times[999] < 3.5
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[1:] == sorted(gaps[1:], reverse=True)


def test_without_limits_quick_answers_release_sooner() -> None:
    state = QuotaState()
    (first,), _ = state.reserve(START, [TokenDemand(1)])
    state.settle(START + 0.005, first, Observation(sent_at=START, admitted=True))
    tickets = drain(state, [1] * 1000, START + 0.005)
    assert tickets[-1].send_at < START + 0.5


def test_a_flag_alone_starts_with_a_second_of_its_rate() -> None:
    tickets = drain(quota(rpm=600), [1] * 30)
    assert sum(t.send_at == START for t in tickets) == 10
    assert tickets[-1].send_at == pytest.approx(START + 2.0)


def test_a_cost_above_the_capacity_waits_for_a_full_bucket_and_goes_alone() -> None:
    state = quota(tpm=6000)  # 100 a second, a bucket of 500
    first, big, after = drain(state, [10, 5000, 10])
    assert first.send_at == START
    assert big.send_at == pytest.approx(START + (500 - 90) / 100)
    assert after.send_at == pytest.approx(big.send_at + (5000 - 500 + 10) / 100)


def test_beyond_the_horizon_it_says_when_to_come_back() -> None:
    state = quota(rpm=600)
    tickets, later = state.reserve(START, [TokenDemand(1)] * 100)
    assert tickets[-1].send_at <= START + HORIZON_SECONDS
    assert later is not None
    assert START + 0.8 * HORIZON_SECONDS < later < tickets[-1].send_at + 0.1


@settings(deadline=None)
@given(costs_lists, st.data())
def test_giving_back_leaves_no_trace(costs: list[int], data: st.DataObject) -> None:
    state, other = quota(600, 60_000), quota(600, 60_000)
    kept, _ = state.reserve(START, [TokenDemand(c) for c in costs])
    other.reserve(START, [TokenDemand(c) for c in costs])
    extra, _ = other.reserve(START, [TokenDemand(7)] * data.draw(st.integers(1, 5)))
    other.give_back(START, extra)
    assert other.requests.level - state.requests.level == pytest.approx(
        (other.at - state.at) * 10, abs=1e-6
    )
    assert other.requests.reserved == state.requests.reserved == len(kept)
    assert other.tokens.reserved == state.tokens.reserved


def test_after_binding_a_stall_is_made_good_without_a_burst() -> None:
    state = told(600, 599)
    first, _ = state.reserve(
        START, [TokenDemand(1)] * 700
    )  # the minute, and two seconds of the rate
    assert len(first) == 619
    tickets = drain(state, [1] * 400, now=START + 2 + 30)
    at_once = sum(t.send_at == tickets[0].send_at for t in tickets)
    assert at_once <= 10
    assert tickets[-1].send_at - START - 32 < 16  # 300 were saved in the stall, 10 a second came


def test_a_minute_of_silence_is_as_good_as_new() -> None:
    state = told(600, 599)
    state.reserve(START, [TokenDemand(1)] * 700)
    tickets, _ = state.reserve(START + 120, [TokenDemand(1)] * 500)
    assert {t.send_at for t in tickets} == {START + 120}


@pytest.mark.parametrize("bad", [0, -1, 5e-324, math.inf, math.nan])
def test_impossible_ceilings_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        QuotaState().configure(START, rpm=bad, tpm=None)
