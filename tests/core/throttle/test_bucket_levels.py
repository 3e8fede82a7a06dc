"""What answers prove about the level of a bucket."""

from __future__ import annotations

from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState
from tests.core.throttle.quota_steps import START, drain, quota, told


def test_the_first_remaining_is_believed() -> None:
    full = told(600, 599)
    tickets, _ = full.reserve(START + 0.3, [TokenDemand(1)] * 700)
    assert sum(t.send_at == START + 0.3 for t in tickets) == 600  # one came back meanwhile

    small = told(600, 59)  # a bucket of six seconds
    tickets, _ = small.reserve(START + 0.3, [TokenDemand(1)] * 700)
    assert sum(t.send_at == START + 0.3 for t in tickets) in (59, 60, 61, 62)
    assert small.requests.capacity == 60


def test_a_flag_is_a_ceiling_even_when_more_remains() -> None:
    state = quota(rpm=60)
    (first,), _ = state.reserve(START, [TokenDemand(1)])
    seen = Observation(sent_at=START, admitted=True, limit_requests=600, remaining_requests=599)
    state.settle(START, first, seen)
    assert state.limits(START).requests_per_minute == 60
    tickets = drain(state, [1] * 61)
    assert tickets[-1].send_at - START >= 59


def test_another_user_of_the_key_is_seen_at_once() -> None:
    state = told(600, 500)
    (mine,), _ = state.reserve(START + 1, [TokenDemand(1)])
    seen = Observation(sent_at=START + 1, admitted=True, remaining_requests=20)
    state.settle(START + 1, mine, seen)
    tickets, _ = state.reserve(START + 1, [TokenDemand(1)] * 100)
    assert sum(t.send_at == START + 1 for t in tickets) == 20


def test_one_answer_does_not_raise_the_level() -> None:
    state = told(600, 0)
    (mine,), _ = state.reserve(START + 0.2, [TokenDemand(1)])
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
        (mine,), _ = state.reserve(now, [TokenDemand(1)])  # has to wait: the limit binds
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
    (first,), _ = state.reserve(START, [TokenDemand(500)])
    seen = Observation(
        sent_at=START, admitted=True, limit_tokens=6000, remaining_tokens=3000, used_tokens=10
    )
    state.settle(START, first, seen)
    (second,), _ = state.reserve(START, [TokenDemand(500)])
    before = state.tokens.level
    state.settle(START, second, Observation(sent_at=START, admitted=True, used_tokens=10))
    assert state.tokens.level == before
