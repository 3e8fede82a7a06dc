"""Limits counted in windows: what is admitted, and what the headers say of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.simulator.limits import Limiter, Shape
from batcher.simulator.windows import FixedWindow, SlidingWindow

rates = st.floats(1, 1e6)
lengths = st.floats(0.5, 120)
steps = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 5000)), min_size=1, max_size=60)
shapes = st.sampled_from(["fixed", "sliding"])
ROUNDING = 1e-5


@settings(deadline=None)
@given(shape=shapes, rpm=rates, tpm=rates, seconds=lengths, steps=steps, start=st.floats(0, 1e4))
def test_no_window_admits_more_than_its_share_of_a_minute(
    shape: Shape,
    rpm: float,
    tpm: float,
    seconds: float,
    steps: list[tuple[float, int]],
    start: float,
) -> None:
    now = start
    limiter = Limiter(rpm, tpm, seconds, now, shape=shape)
    admitted: list[tuple[float, int]] = []
    for pause, cost in steps:
        now += pause
        if limiter.admit(cost, now) is None:
            admitted.append((now, cost))
    most = [max(1.0, rate * seconds / 60 + ROUNDING) for rate in (rpm, tpm)]
    for first, _ in admitted:
        if shape == "fixed":
            first = math.floor(first / seconds) * seconds
        within = [cost for at, cost in admitted if first <= at < first + seconds - ROUNDING]
        assert len(within) <= most[0]
        assert sum(within) <= most[1]


@settings(deadline=None)
@given(shape=shapes, rpm=rates, tpm=rates, seconds=lengths, steps=steps)
def test_who_waits_as_told_is_admitted(
    shape: Shape, rpm: float, tpm: float, seconds: float, steps: list[tuple[float, int]]
) -> None:
    limiter, now = Limiter(rpm, tpm, seconds, 0.0, shape=shape), 0.0
    for pause, cost in steps:
        now += pause
        rejection = limiter.admit(cost, now)
        if rejection is None or rejection.too_large:
            continue
        assert rejection.wait_seconds > 0
        now += math.ceil(rejection.wait_seconds * 1000) / 1000
        # The other limit may ask for its own wait; both never ask twice.
        again = limiter.admit(cost, now)
        if again is not None:
            now += math.ceil(again.wait_seconds * 1000) / 1000
            assert limiter.admit(cost, now) is None


def test_a_fixed_window_starts_anew_at_each_multiple_of_its_length() -> None:
    window = FixedWindow(360, 20, 1007.0)
    window.take(120, 1007.0)
    assert window.wait_seconds(1, 1007.0) == pytest.approx(13)
    assert window.wait_seconds(1, 1019.0) == pytest.approx(1)
    assert window.level(1020.0) == 120
    window.take(30, 1039.0)
    assert window.full_in_seconds(1039.0) == pytest.approx(1)
    assert window.level(1040.0) == 120


def test_a_sliding_window_forgets_what_is_older_than_its_length() -> None:
    window = SlidingWindow(360, 20, 0.0)
    window.take(100, 0.0)
    window.take(20, 5.0)
    assert window.wait_seconds(1, 10.0) == pytest.approx(10)
    assert window.wait_seconds(101, 10.0) == pytest.approx(15)
    assert window.level(20.0) == 100
    assert window.full_in_seconds(20.0) == pytest.approx(5)
    assert window.level(25.0) == 120


def test_what_is_given_back_was_never_counted() -> None:
    fixed, sliding = FixedWindow(60, 60, 0.0), SlidingWindow(60, 60, 0.0)
    for window in (fixed, sliding):
        window.take(10, 1.0)
        window.take(20, 2.0)
        window.take(-15, 3.0)
        assert window.level(3.0) == 45
        window.take(-100, 4.0)
        assert window.level(4.0) == 60


@given(age=st.floats(0, 100), seconds=st.floats(0.5, 60), start=st.floats(0, 1e4))
def test_a_fixed_window_has_the_age_that_it_is_told(
    age: float, seconds: float, start: float
) -> None:
    limiter = Limiter(6000, None, seconds, start, shape="fixed", age=age)
    assert limiter.requests is not None
    edge = limiter.requests.full_in_seconds(start)
    apart = abs(edge - (seconds - age % seconds))
    assert min(apart, seconds - apart) < ROUNDING  # at an edge, the one before is as near


def test_a_limit_too_small_for_one_unit_admits_one() -> None:
    assert FixedWindow(3, 6, 0.0).capacity == 1
    assert SlidingWindow(3, 6, 0.0).capacity == 1


@pytest.mark.parametrize(("unit", "stated"), [("minute", "360"), ("window", "120")])
def test_headers_tell_the_limit_what_is_left_and_the_next_window(unit: str, stated: str) -> None:
    limiter = Limiter(360, None, 20, 1007.5, shape="fixed", unit=unit)  # type: ignore[arg-type]
    assert limiter.admit(1, 1007.5) is None
    assert limiter.headers(1007.5) == {
        "x-ratelimit-limit-requests": stated,
        "x-ratelimit-remaining-requests": "119",
        "x-ratelimit-reset-requests": "12.5s",
    }


def test_the_shape_may_change_while_running() -> None:
    limiter = Limiter(60, None, 60, 0.0)
    limiter.charge(0, 0.0, requests=60)
    limiter.change(120, None, 10, 0.0, shape="fixed", unit="window")
    assert limiter.headers(0.0)["x-ratelimit-remaining-requests"] == "20"
    limiter.charge(0, 0.0, requests=20)
    limiter.change(240, None, 20, 0.0, shape="fixed")
    assert limiter.headers(0.0)["x-ratelimit-remaining-requests"] == "60"


def test_repr_tells_the_count() -> None:
    assert repr(FixedWindow(360, 20, 0.0)) == "<FixedWindow 0 of 120 in 20 s>"
    assert repr(SlidingWindow(360, 20, 0.0)) == "<SlidingWindow 0 of 120 in 20 s>"
