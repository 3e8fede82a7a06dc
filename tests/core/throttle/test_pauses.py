"""A pause stops everyone once, and what it does to the rates."""

from __future__ import annotations

import itertools
import math

import pytest

from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.rates import DECREASE, FLOOR
from tests.core.throttle.quota_steps import START, drain, quota


def test_a_pause_stops_everyone_once() -> None:
    state = quota(rpm=600)
    tickets, _ = state.reserve(START, [TokenDemand(1)] * 20)
    assert state.pause(START, tickets[0], START + 3)
    assert state.reserve(START + 1, [TokenDemand(1)]) == ([], START + 3)
    assert not state.pause(START + 1, tickets[1], START + 5)
    assert state.epoch == 1
    assert state.limits(START + 2).paused_until == START + 5
    assert state.limits(START + 2).requests_per_minute == pytest.approx(600 * DECREASE)
    assert state.reserve(START + 3, [TokenDemand(1)]) == ([], START + 5)
    later = drain(state, [1] * 10, now=START + 5)
    assert later[0].send_at > START + 5  # the bucket is empty at release
    gaps = [b.send_at - a.send_at for a, b in itertools.pairwise(later)]
    assert gaps == pytest.approx([1 / (10 * DECREASE)] * 9, rel=0.02)
    assert all(t.epoch == 1 for t in later)


def test_a_late_objection_of_an_earlier_epoch_lowers_nothing() -> None:
    state = quota(rpm=600)
    tickets, _ = state.reserve(START, [TokenDemand(1)] * 10)
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
    (ticket,), _ = state.reserve(START, [TokenDemand(1)])
    state.pause(START, ticket, START + 1, slowly=True)
    drain(state, [1], now=START + 901)
    assert state.factor == 1.0
    (ticket,), _ = state.reserve(START + 910, [TokenDemand(1)])
    state.pause(START + 910, ticket, START + 911, slowly=True)
    drain(state, [1], now=START + 911 + 90)
    assert state.factor == pytest.approx(DECREASE + 0.05)


def test_without_limits_two_objections_measure_one() -> None:
    state = QuotaState()
    now = START
    for served in (20, 30):
        tickets, _ = state.reserve(now, [TokenDemand(5)] * (served + 1))
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
    (ticket,), _ = state.reserve(now + 401, [TokenDemand(1)])
    seen = Observation(sent_at=now, admitted=True, limit_requests=600, remaining_requests=5)
    state.settle(now + 402, ticket, seen)
    assert state.requests.guess == math.inf
    assert state.limits(now + 402).requests_per_minute == 600


def test_without_limits_a_pause_holds_and_touches_no_rate() -> None:
    state = QuotaState()
    tickets, _ = state.reserve(START, [TokenDemand(5)] * 3)
    assert state.pause(START, tickets[0], START + 2)
    assert state.reserve(START + 1, [TokenDemand(5)]) == ([], START + 2)
    granted, later = state.reserve(START + 2, [TokenDemand(5)] * 100)
    assert all(START + 2 <= t.send_at < START + 3.6 for t in granted)
    assert later is None
    assert state.factor == 1.0
