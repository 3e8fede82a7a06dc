"""The throttle's arithmetic, against a reference that knows only sums over time."""

from __future__ import annotations

import itertools
import math
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.bucket import Cost, Observation, Ticket, observation_from_headers
from batcher.core.quota import DECREASE, FLOOR, HORIZON_SECONDS, QuotaState

START = 1000.0


def quota(rpm: float | None = None, tpm: float | None = None) -> QuotaState:
    state = QuotaState()
    state.configure(START, rpm=rpm, tpm=tpm)
    return state


def told(rpm: float, remaining: float, now: float = START) -> QuotaState:
    """A quota whose first answer told its limits."""
    state = QuotaState()
    (first,), _ = state.reserve(now, [Cost(1)])
    seen = Observation(sent_at=now, admitted=True, limit_requests=rpm, remaining_requests=remaining)
    state.settle(now, first, seen)
    return state


def drain(state: QuotaState, costs: list[int], now: float = START) -> list[Ticket]:
    """Every ticket, asking again exactly when told to."""
    left = [Cost(c) for c in costs]
    tickets: list[Ticket] = []
    while left:
        granted, later = state.reserve(now, left)
        tickets += granted
        left = left[len(granted) :]
        assert (later is None) == (not left)
        if later is not None:
            assert later > now
            now = later
    return tickets


def numbers(state: QuotaState) -> list[float]:
    found: list[float] = []
    for record in (state.requests, state.tokens, state):
        for field in fields(record):
            value = getattr(record, field.name)
            if isinstance(value, int | float):
                found.append(float(value))
    return found


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


costs_lists = st.lists(st.integers(0, 900), min_size=1, max_size=60)


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


def test_without_limits_everything_goes_at_once() -> None:
    tickets, later = QuotaState().reserve(START, [Cost(10**9)] * 1000)
    assert {t.send_at for t in tickets} == {START}
    assert later is None


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
    tickets, later = state.reserve(START, [Cost(1)] * 100)
    assert tickets[-1].send_at <= START + HORIZON_SECONDS
    assert later is not None
    assert START + 0.8 * HORIZON_SECONDS < later < tickets[-1].send_at + 0.1


def test_the_first_remaining_is_believed() -> None:
    full = told(600, 599)
    tickets, _ = full.reserve(START + 0.3, [Cost(1)] * 700)
    assert sum(t.send_at == START + 0.3 for t in tickets) == 600  # one came back meanwhile

    small = told(600, 59)  # a bucket of six seconds
    tickets, _ = small.reserve(START + 0.3, [Cost(1)] * 700)
    assert sum(t.send_at == START + 0.3 for t in tickets) in (59, 60, 61, 62)
    assert small.requests.capacity == 60


def test_a_flag_is_a_ceiling_even_when_more_remains() -> None:
    state = quota(rpm=60)
    (first,), _ = state.reserve(START, [Cost(1)])
    seen = Observation(sent_at=START, admitted=True, limit_requests=600, remaining_requests=599)
    state.settle(START, first, seen)
    assert state.limits(START).requests_per_minute == 60
    tickets = drain(state, [1] * 61)
    assert tickets[-1].send_at - START >= 59


def test_another_user_of_the_key_is_seen_at_once() -> None:
    state = told(600, 500)
    (mine,), _ = state.reserve(START + 1, [Cost(1)])
    seen = Observation(sent_at=START + 1, admitted=True, remaining_requests=20)
    state.settle(START + 1, mine, seen)
    tickets, _ = state.reserve(START + 1, [Cost(1)] * 100)
    assert sum(t.send_at == START + 1 for t in tickets) == 20


def test_one_answer_does_not_raise_the_level() -> None:
    state = told(600, 0)
    (mine,), _ = state.reserve(START + 0.2, [Cost(1)])
    state.settle(
        START + 1,
        mine,
        Observation(sent_at=START + 0.2, admitted=True, remaining_requests=500),
    )
    assert state.requests.level < 20


def test_what_all_answers_of_a_window_say_raises_the_level_below_the_truth() -> None:
    state = told(600, 0)
    now = START
    for _ in range(40):
        (mine,), _ = state.reserve(now, [Cost(1)])  # has to wait: the limit binds
        seen = Observation(sent_at=mine.send_at, admitted=True, remaining_requests=300)
        state.settle(mine.send_at, mine, seen)
        now = mine.send_at
    assert 250 < state.requests.level < 300


def test_usage_is_settled_where_no_header_tells() -> None:
    state = quota(tpm=6000)
    tickets = drain(state, [50, 50])
    before = state.tokens.level
    state.settle(START, tickets[0], Observation(sent_at=START, admitted=True, used_tokens=20))
    assert state.tokens.level == before + 30
    state.settle(START, tickets[1], Observation(sent_at=START, admitted=True, used_tokens=70))
    assert state.tokens.level == before + 10


def test_usage_is_not_refunded_where_headers_tell() -> None:
    state = QuotaState()
    (first,), _ = state.reserve(START, [Cost(500)])
    seen = Observation(
        sent_at=START, admitted=True, limit_tokens=6000, remaining_tokens=3000, used_tokens=10
    )
    state.settle(START, first, seen)
    (second,), _ = state.reserve(START, [Cost(500)])
    before = state.tokens.level
    state.settle(START, second, Observation(sent_at=START, admitted=True, used_tokens=10))
    assert state.tokens.level == before


@settings(deadline=None)
@given(costs_lists, st.data())
def test_giving_back_leaves_no_trace(costs: list[int], data: st.DataObject) -> None:
    state, other = quota(600, 60_000), quota(600, 60_000)
    kept, _ = state.reserve(START, [Cost(c) for c in costs])
    other.reserve(START, [Cost(c) for c in costs])
    extra, _ = other.reserve(START, [Cost(7)] * data.draw(st.integers(1, 5)))
    other.give_back(START, extra)
    assert other.requests.level - state.requests.level == pytest.approx(
        (other.at - state.at) * 10, abs=1e-6
    )
    assert other.requests.reserved == state.requests.reserved == len(kept)
    assert other.tokens.reserved == state.tokens.reserved


def test_a_pause_stops_everyone_once() -> None:
    state = quota(rpm=600)
    tickets, _ = state.reserve(START, [Cost(1)] * 20)
    assert state.pause(START, tickets[0], START + 3)
    assert state.reserve(START + 1, [Cost(1)]) == ([], START + 3)
    assert not state.pause(START + 1, tickets[1], START + 5)
    assert state.epoch == 1
    assert state.limits(START + 2).paused_until == START + 5
    assert state.limits(START + 2).requests_per_minute == pytest.approx(600 * DECREASE)
    assert state.reserve(START + 3, [Cost(1)]) == ([], START + 5)
    later = drain(state, [1] * 10, now=START + 5)
    assert later[0].send_at > START + 5  # the bucket is empty at release
    gaps = [b.send_at - a.send_at for a, b in itertools.pairwise(later)]
    assert gaps == pytest.approx([1 / (10 * DECREASE)] * 9, rel=0.02)
    assert all(t.epoch == 1 for t in later)


def test_a_late_objection_of_an_earlier_epoch_lowers_nothing() -> None:
    state = quota(rpm=600)
    tickets, _ = state.reserve(START, [Cost(1)] * 10)
    state.pause(START, tickets[0], START + 1)
    for ticket in tickets:
        state.pause(START + 0.5, ticket, START + 0.6)
    assert state.paused_until == START + 1
    assert state.factor == DECREASE


def test_rates_fall_to_a_floor_and_come_back() -> None:
    state = quota(rpm=600)
    now = START
    for _ in range(30):
        (ticket,) = drain(state, [1], now=now)
        now = ticket.send_at
        state.pause(now, ticket, now + 0.01)
        now += 0.01
    assert FLOOR <= state.factor < 1.2 * FLOOR
    drain(state, [1], now=now + 600)
    assert state.factor == 1.0


def test_a_slow_down_recovers_slowly() -> None:
    state = quota(rpm=600)
    (ticket,), _ = state.reserve(START, [Cost(1)])
    state.pause(START, ticket, START + 1, slowly=True)
    drain(state, [1], now=START + 901)
    assert state.factor == 1.0
    (ticket,), _ = state.reserve(START + 910, [Cost(1)])
    state.pause(START + 910, ticket, START + 911, slowly=True)
    drain(state, [1], now=START + 911 + 90)
    assert state.factor == pytest.approx(DECREASE + 0.05)


def test_without_limits_two_objections_measure_one() -> None:
    state = QuotaState()
    now = START
    for served in (20, 30):
        tickets, _ = state.reserve(now, [Cost(5)] * (served + 1))
        if len(tickets) == served + 1:  # free at first; spaced by the first guess later
            now += 2
        for ticket in tickets[1:]:
            state.settle(now, ticket, Observation(sent_at=now, admitted=True))
        state.pause(now, tickets[0], now + 1)
        now += 1
    assert 0 < state.requests.guess < 20
    assert state.limits(now).requests_per_minute is None  # nobody told it: the window stays small
    drain(state, [1], now=now + 400)
    assert state.requests.guess > 1000
    (ticket,), _ = state.reserve(now + 401, [Cost(1)])
    seen = Observation(sent_at=now, admitted=True, limit_requests=600, remaining_requests=5)
    state.settle(now + 402, ticket, seen)
    assert state.requests.guess == math.inf
    assert state.limits(now + 402).requests_per_minute == 600


def test_without_limits_a_pause_holds_and_touches_no_rate() -> None:
    state = QuotaState()
    tickets, _ = state.reserve(START, [Cost(5)] * 3)
    assert state.pause(START, tickets[0], START + 2)
    assert state.reserve(START + 1, [Cost(5)]) == ([], START + 2)
    granted, later = state.reserve(START + 2, [Cost(5)] * 100)
    assert {t.send_at for t in granted} == {START + 2}
    assert later is None
    assert state.factor == 1.0


def test_after_binding_a_stall_is_made_good_without_a_burst() -> None:
    state = told(600, 599)
    first, _ = state.reserve(START, [Cost(1)] * 700)  # the minute, and two seconds of the rate
    assert len(first) == 619
    tickets = drain(state, [1] * 400, now=START + 2 + 30)
    at_once = sum(t.send_at == tickets[0].send_at for t in tickets)
    assert at_once <= 10
    assert tickets[-1].send_at - START - 32 < 16  # 300 were saved in the stall, 10 a second came


def test_a_minute_of_silence_is_as_good_as_new() -> None:
    state = told(600, 599)
    state.reserve(START, [Cost(1)] * 700)
    tickets, _ = state.reserve(START + 120, [Cost(1)] * 500)
    assert {t.send_at for t in tickets} == {START + 120}


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserve", "settle", "refuse", "pause", "give_back", "configure"]),
            st.floats(0, 20),
            st.integers(0, 10_000),
            st.one_of(st.none(), st.floats(0.1, 1e6)),
            st.one_of(st.none(), st.floats(0, 1e6)),
        ),
        max_size=60,
    )
)
def test_no_sequence_leads_to_nonsense(
    steps: list[tuple[str, float, int, float | None, float | None]],
) -> None:
    state, now, held = quota(600, 60_000), START, list[Ticket]()
    last = (0, -math.inf)
    for action, seconds, amount, limit, remaining in steps:
        now += seconds
        if action == "configure":
            state.configure(now, rpm=limit, tpm=(remaining or 0) + 1 if limit else None)
        elif action == "reserve":
            tickets, later = state.reserve(now, [Cost(amount)] * 5)
            for ticket in tickets:
                assert now <= ticket.send_at <= now + HORIZON_SECONDS
                assert (ticket.epoch, ticket.send_at) >= last
                last = (ticket.epoch, ticket.send_at)
            assert later is None or later > now
            held += tickets
        elif held and action in ("settle", "refuse"):
            seen = Observation(
                sent_at=now,
                admitted=action == "settle",
                limit_requests=limit,
                limit_tokens=limit,
                remaining_requests=remaining,
                remaining_tokens=remaining,
                used_tokens=amount,
            )
            state.settle(now, held.pop(0), seen)
        elif held and action == "pause":
            state.pause(now, held.pop(0), now + seconds)
        elif held and action == "give_back":
            state.give_back(now, held)
            held = []
        assert not any(math.isnan(value) for value in numbers(state))
        limits = state.limits(now)
        assert 0 <= limits.requests_share <= 1
        assert 0 <= limits.tokens_share <= 1


@pytest.mark.parametrize("bad", [0, -1, 5e-324, math.inf, math.nan])
def test_impossible_ceilings_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        QuotaState().configure(START, rpm=bad, tpm=None)


@pytest.mark.parametrize("bad", ["", "many", "nan", "inf", "-1", "1e999", "12;w=60"])
def test_malformed_headers_are_ignored(bad: str) -> None:
    names = ("limit-requests", "limit-tokens", "remaining-requests", "remaining-tokens")
    headers = {f"x-ratelimit-{name}": bad for name in names}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert seen == Observation(sent_at=1.0, admitted=True)


def test_headers_are_read() -> None:
    seen = observation_from_headers(
        {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-limit-tokens": " 100000.0 ",
            "x-ratelimit-remaining-tokens": "99000",
        },
        sent_at=1.0,
        admitted=False,
        used_tokens=3,
    )
    assert seen == Observation(
        sent_at=1.0,
        admitted=False,
        limit_requests=600,
        remaining_requests=0,
        limit_tokens=100_000,
        remaining_tokens=99_000,
        used_tokens=3,
    )


def test_a_limit_of_zero_is_no_limit() -> None:
    headers = {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert seen.limit_requests is None
    state = QuotaState()
    (ticket,), _ = state.reserve(START, [Cost(1)])
    state.settle(START, ticket, seen)
    assert state.reserve(START, [Cost(1)] * 50)[1] is None
