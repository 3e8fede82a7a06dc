"""Whose turn it is: the arithmetic of sharing, call by call."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import (
    GRACE_SECONDS,
    HORIZON_SECONDS,
    LEND_SECONDS,
    WEIGHTS,
    Flow,
)
from tests.core.throttle.quota_steps import START, quota

BIG = Flow("big")
SMALL = Flow("small")


def ask(state: QuotaState, now: float, flow: Flow, count: int = 100) -> int:
    """How many are granted."""
    return len(state.reserve(now, [TokenDemand(1)] * count, flow)[0])


def busy() -> tuple[QuotaState, float]:
    """A quota of 10 a second that one flow has filled up to the horizon."""
    state = quota(rpm=600)
    ask(state, START, BIG)
    now = START + 10
    ask(state, now, BIG)
    return state, now


def test_alone_a_flow_has_the_whole_horizon() -> None:
    state, now = busy()
    tickets, later = state.reserve(now, [TokenDemand(1)] * 100, BIG)
    assert tickets == []
    assert later is not None
    assert now + 1.7 <= later <= now + HORIZON_SECONDS
    assert ask(state, later, BIG) >= 17


def test_a_newcomer_comes_next_and_is_made_good_what_the_other_holds() -> None:
    state, now = busy()
    tickets, later = state.reserve(now, [TokenDemand(1)] * 100, SMALL)
    assert tickets[0].send_at <= now + HORIZON_SECONDS + 0.1
    assert later is not None
    # The one that was alone holds two seconds: it gets nothing more until the other has as much.
    assert ask(state, now + 0.3, BIG) == 0
    assert ask(state, later, SMALL) > 0


def test_a_flow_that_asks_no_more_stops_counting_within_a_horizon_and_a_grace() -> None:
    state, now = busy()
    ask(state, now, SMALL)
    later = now + HORIZON_SECONDS + GRACE_SECONDS + 0.1
    ask(state, later, BIG)
    assert list(state.sharing.members) == [BIG]


def test_who_has_got_all_that_it_asked_for_counts_for_a_horizon_after_its_last_send() -> None:
    state, now = busy()
    (ticket,), later = state.reserve(now, [TokenDemand(1)], SMALL)
    assert later is None
    ask(state, ticket.send_at + HORIZON_SECONDS - 0.1, BIG)
    assert SMALL in state.sharing.members
    ask(state, ticket.send_at + HORIZON_SECONDS + 0.1, BIG)
    assert SMALL not in state.sharing.members


def test_what_nobody_else_takes_is_lent_but_only_a_little_ahead() -> None:
    state, now = busy()
    now += 10
    ask(state, now, SMALL, 1)
    ask(state, now, BIG)
    while state.at > now + LEND_SECONDS:
        assert ask(state, now, BIG) == 0
        now += 0.1
    assert ask(state, now, BIG) > 0
    assert state.at <= now + LEND_SECONDS + 0.1


def test_workers_of_one_job_share_its_part() -> None:
    state = quota(rpm=600)
    flows = [Flow("a", 2.0, "1"), Flow("a", 2.0, "2"), Flow("a", 2.0, "3"), Flow("b", 2.0, "1")]
    for flow in flows:
        ask(state, START, flow, 1)
    turns = [state.sharing.enter(START, flow, 0.0) for flow in flows]
    weights = [turn.weight for turn in turns if turn is not None]
    assert weights == [2 / 3, 2 / 3, 2 / 3, 2.0]


def test_a_cost_that_takes_longer_than_the_horizon_finds_its_place_among_small_ones() -> None:
    state = quota(tpm=6000)  # 100 a second
    now = START
    state.reserve(now, [TokenDemand(50)] * 2, BIG)
    tickets, _ = state.reserve(now + 1, [TokenDemand(450)], SMALL)
    assert len(tickets) == 1
    # Up to it all is taken; who had less time than that gets as much after it.
    ((_, small), (_, big)) = sorted(state.sharing.members.items(), key=lambda item: -item[1].tag)
    assert small.tag - big.tag > 2


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.4), st.integers(1, 400)), max_size=120),
    st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=4, max_size=4),
)
def test_flows_that_want_more_are_never_further_apart_than_a_horizon_and_a_cost(
    calls: list[tuple[int, float, int]], weights: list[float]
) -> None:
    state, now = quota(tpm=6000), START  # 100 a second
    flows = [Flow(str(number), weight) for number, weight in enumerate(weights)]
    for number, wait, tokens in calls:
        now += wait
        state.reserve(now, [TokenDemand(tokens)] * 30, flows[number])
        for flow in flows:  # everybody asks all the time, but for very little
            if flow != flows[number]:
                state.reserve(now, [TokenDemand(1)] * 300, flow)
        if not all(member.wants for member in state.sharing.members.values()):
            continue  # at the start nothing is scarce
        tags = [member.tag for member in state.sharing.members.values()]
        apart = max(tags) - min(tags)
        assert apart <= HORIZON_SECONDS / sum(weights) + 400 / 100 / min(weights) + 1e-6


def test_during_a_pause_nobody_gets_ahead() -> None:
    state, now = busy()
    (ticket,), _ = state.reserve(now, [TokenDemand(1)], SMALL)
    state.pause(now, ticket, now + 30)
    for flow in (BIG, SMALL):
        assert state.reserve(now + 1, [TokenDemand(1)] * 9, flow) == ([], now + 30)
    assert len(state.sharing.members) == 2
    now += 30
    first = ask(state, now, BIG)
    assert ask(state, now, SMALL) >= first


def test_priorities_have_weights() -> None:
    assert WEIGHTS["high"] > WEIGHTS["normal"] > WEIGHTS["low"] > 0
