"""One limit's window: what is granted in it, and what it is taken for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.window_count import EVEN, FIXED, NONE, SLIDING
from batcher.core.throttle.windows import Window

steps = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 40)), st.floats(0, 60)),
    max_size=80,
)
ROUNDING = 1e-6


def grant(window: Window, at: float, amount: float) -> float:
    """When the amount is granted, asked for at a time."""
    window.advance(at)
    at += window.wait(at, amount, math.inf)
    window.advance(at)
    window.take(at, amount)
    return at


@settings(deadline=None)
@given(steps)
def test_a_sliding_window_never_grants_more_than_all_of_it(
    steps: list[tuple[float, float]],
) -> None:
    window = Window(kind=SLIDING, sure=True, span=20.0, most=100.0, edge=0.0, told=True)
    grants: list[tuple[float, float]] = []
    at = 1000.0
    for pause, amount in steps:
        at = grant(window, at + pause, amount)
        grants.append((at, amount))
    for first, (start, _) in enumerate(grants):
        within = [a for t, a in grants[first:] if t <= start + 20.0]
        assert sum(within) <= 100 + ROUNDING


@settings(deadline=None)
@given(steps)
def test_a_fixed_window_never_grants_more_than_all_of_it(steps: list[tuple[float, float]]) -> None:
    window = Window(
        kind=FIXED, sure=True, span=20.0, most=100.0, edge=1007.0, began=987.0, told=True
    )
    grants: list[tuple[float, float]] = []
    at = 1000.0
    for pause, amount in steps:
        at = grant(window, at + pause, amount)
        grants.append((at, amount))
    assert sum(a for t, a in grants if t < 1007) <= 100 + ROUNDING
    assert sum(a for t, a in grants if 1007 <= t < 1027) <= 100 + ROUNDING


@settings(deadline=None)
@given(steps, st.integers(1, 20))
def test_the_log_stays_short_and_forgets_nothing(
    steps: list[tuple[float, float]], times: int
) -> None:
    window = Window(kind=SLIDING, span=math.inf, most=math.inf)
    at, total = 1000.0, 0.0
    for pause, amount in steps * times:
        at += pause
        window.take(at, amount)
        total += amount
    assert len(window.log) <= 2 * 65
    assert sum(window.log[1::2]) == pytest.approx(total)
    assert window.log[::2] == sorted(window.log[::2])


def test_a_reset_that_no_bucket_explains_makes_it_a_window() -> None:
    window = Window()
    window.take(1000.0, 1)
    window.answered(1000.2, 1000.0, 1000.0, 1, 119)
    window.see_reset(1000.2, 1000.0, 15.0, 0.0, 119, 120, admitted=True)
    assert (window.kind, window.sure, window.span) == (SLIDING, False, 15.0)


def test_a_buckets_own_resets_make_it_none() -> None:
    window = Window()
    for used in range(1, 100):
        window.take(1000.0, 1)
        window.answered(1000.2, 1000.0, 1000.0, 1, 600 - used)
        window.see_reset(1000.2, 1000.0, used / 10, 0.0, 600 - used, 600, admitted=True)
    assert window.kind == NONE


def test_a_days_bucket_is_taken_for_none_once_its_edge_moves() -> None:
    """A thousand a day, refilled evenly: each request moves the reset on by 86.4 seconds."""
    window = Window()
    for used in range(1, 6):
        window.take(1000.0, 1)
        window.answered(1000.2, 1000.0, 1000.0, 1, 1000 - used)
        window.see_reset(1000.2, 1000.0, 86.4 * used, 0.0, 1000 - used, 1000, admitted=True)
    assert window.kind == NONE


def test_the_next_edge_tells_fixed_from_sliding() -> None:
    for edge, kind in ((1035.0, FIXED), (1015.3, SLIDING)):
        window = Window()
        window.take(1000.0, 1)
        window.answered(1000.2, 1000.0, 1000.0, 1, 119)
        window.see_reset(1000.2, 1000.0, 15.0, 0.0, 119, 120, admitted=True)
        window.advance(1015.2)
        window.take(1015.2, 1)
        window.see_reset(1015.4, 1015.2, edge - 1015.2, 0.0, 118, 120, admitted=True)
        assert (window.kind, window.sure) == (kind, True)


def test_a_short_wait_after_a_429_may_be_a_buckets() -> None:
    window = Window()
    window.take(1000.0, 1)
    assert not window.refused(1000.5, 1.5, 1, 10.0)
    assert window.kind == NONE
    window.take(1002.5, 1)
    assert window.refused(1003.0, 18.0, 1, 10.0)
    assert window.kind == SLIDING


def test_a_window_whose_requests_come_too_early_again_and_again_lets_them_in_evenly() -> None:
    window = Window(kind=SLIDING, sure=True, span=20.0, most=100.0, began=990.0)
    for number in range(3):
        assert window.refused(1000.0 + number / 2, 0.1, 1, 10.0)
    assert (window.kind, window.rate) == (EVEN, 5.0)
    grants = [grant(window, 1002.0, amount) for amount in (1, 1, 1, 10, 1, 1)]
    assert grants == pytest.approx([1002.0, 1002.2, 1002.4, 1004.4, 1004.6, 1004.8])
    assert window.spacing(1) == 0


def test_a_window_whose_requests_came_too_early_now_and_then_stays_one() -> None:
    window = Window(kind=SLIDING, sure=True, span=20.0, most=100.0, began=990.0)
    for number in range(20):
        assert window.refused(1000.0 + 20.0 * number, 0.1, 1, 10.0)
    assert window.kind == SLIDING


def test_what_is_let_in_evenly_follows_what_is_left_and_429s() -> None:
    window = Window(kind=EVEN, sure=True, span=20.0, most=100.0, began=990.0, told=True)
    window.see_left(1000.0, 1000.0, 1, 90, 0, 10.0)
    assert window.rate > 5.0
    rate = window.rate
    window.see_left(1001.0, 1001.0, 1, 10, 0, 10.0)
    assert window.rate == rate
    assert window.refused(1002.0, 0.5, 1, 10.0)
    assert window.refused(1003.0, None, 1, 10.0)
    assert window.rate < 0.95 * rate


def test_an_edge_that_moves_is_a_buckets_and_nothing_is_believed_for_a_while() -> None:
    window = Window(kind=SLIDING, span=20.0, most=100.0, began=990.0, edge=1010.0)
    for number in range(2):
        window.see_reset(1000.0, 1000.0 + number, 30.0 + number, 0.0, 50, 100, admitted=True)
    assert window.kind == NONE
    window.take(1001.0, 1)
    assert not window.refused(1001.0, 18.0, 1, 10.0)
    window.advance(1020.0)
    window.take(1020.0, 1)
    assert window.refused(1021.0, 18.0, 1, 10.0), "for five seconds, the first time"
