from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.simulator.limits import Bucket, Limiter, duration

rates = st.floats(1, 1e7)
lengths = st.floats(0.5, 120)
steps = st.lists(st.tuples(st.floats(0, 30), st.integers(0, 5000)), min_size=1, max_size=60)


@settings(deadline=None)
@given(rpm=rates, tpm=rates, seconds=lengths, steps=steps)
def test_no_window_admits_more_than_capacity_and_refill(
    rpm: float, tpm: float, seconds: float, steps: list[tuple[float, int]]
) -> None:
    limiter, now = Limiter(rpm, tpm, seconds, 0.0), 0.0
    admitted: list[tuple[float, int]] = []
    for pause, cost in steps:
        now += pause
        if limiter.admit(cost, now) is None:
            admitted.append((now, cost))
    request_capacity, token_capacity = (max(1, rate * seconds / 60) for rate in (rpm, tpm))
    for first, (start, _) in enumerate(admitted):
        tokens = 0
        for count, (end, cost) in enumerate(admitted[first:], start=1):
            tokens += cost
            assert count <= request_capacity + rpm / 60 * (end - start) + 0.01
            assert tokens <= token_capacity + tpm / 60 * (end - start) + 0.01


@settings(deadline=None)
@given(rpm=rates, tpm=rates, seconds=lengths, steps=steps)
def test_who_waits_as_told_is_admitted(
    rpm: float, tpm: float, seconds: float, steps: list[tuple[float, int]]
) -> None:
    limiter, now = Limiter(rpm, tpm, seconds, 0.0), 0.0
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


@settings(deadline=None)
@given(tpm=rates, seconds=lengths, cost=st.integers(0, 10**6))
def test_a_rejected_request_is_not_charged(tpm: float, seconds: float, cost: int) -> None:
    limiter = Limiter(None, tpm, seconds, 0.0)
    limiter.charge(int(min(tpm, 500)), 0.0)
    assert limiter.tokens is not None
    before = limiter.tokens.level(0.0)
    if limiter.admit(cost, 0.0) is not None:
        assert limiter.tokens.level(0.0) == before


def test_both_buckets_must_have_enough() -> None:
    limiter = Limiter(60, 600, 60, 0.0)
    for _ in range(60):
        assert limiter.admit(1, 0.0) is None
    rejection = limiter.admit(1, 0.0)
    assert rejection is not None
    assert rejection.dimension == "requests"
    assert rejection.wait_seconds == pytest.approx(1)
    assert (rejection.limit, rejection.used, rejection.requested) == (60, 60, 1)
    rejection = limiter.admit(600, 0.0)
    assert rejection is not None
    assert rejection.dimension == "tokens"
    assert rejection.wait_seconds == pytest.approx(6)
    assert (rejection.limit, rejection.used, rejection.requested) == (600, 60, 600)


def test_capacity_is_bucket_seconds_of_the_rate_and_at_least_one() -> None:
    assert Bucket(6000, 6, 0.0).capacity == 600
    assert Bucket(3, 6, 0.0).capacity == 1


def test_more_than_the_capacity_is_too_large_for_ever() -> None:
    limiter = Limiter(60, 6000, 6, 0.0)
    assert limiter.admit(600, 0.0) is None
    rejection = limiter.admit(601, 1e6)
    assert rejection is not None
    assert rejection.too_large
    assert (rejection.limit, rejection.requested) == (600, 601)


def test_limits_change_while_running() -> None:
    limiter = Limiter(60, None, 60, 0.0)
    limiter.charge(0, 0.0, requests=60)
    limiter.change(600, 6000, 60, 1.0)
    assert limiter.requests is not None
    assert limiter.requests.level(1.0) == pytest.approx(1)
    assert limiter.requests.level(2.0) == pytest.approx(11)
    assert limiter.headers(1.0)["x-ratelimit-remaining-tokens"] == "6000"
    limiter.change(None, None, 60, 2.0)
    assert limiter.headers(2.0) == {}
    assert limiter.admit(10**9, 2.0) is None


def test_a_smaller_capacity_cuts_what_is_held() -> None:
    bucket = Bucket(600, 60, 0.0)
    bucket.change(60, 60, 0.0)
    assert bucket.level(0.0) == 60


def test_a_clock_that_steps_back_gives_nothing() -> None:
    bucket = Bucket(60, 60, 100.0)
    bucket.take(60, 100.0)
    assert bucket.level(50.0) == 0
    assert bucket.level(101.0) == pytest.approx(1)


def test_a_debt_is_paid_first_and_never_shown() -> None:
    bucket = Bucket(60, 60, 0.0)
    bucket.take(70, 0.0)
    assert bucket.remaining(0.0) == 0
    assert bucket.wait_seconds(1, 0.0) == pytest.approx(11)
    bucket.take(-1000, 0.0)
    assert bucket.remaining(0.0) == 60


def test_headers_tell_the_minute_the_rest_and_the_time_until_full() -> None:
    limiter = Limiter(600, 60_000, 6, 0.0)
    assert limiter.admit(1500, 0.0) is None
    assert limiter.headers(0.0) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "4500",
        "x-ratelimit-reset-tokens": "1.5s",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0001, "1ms"),
        (0.12, "120ms"),
        (0.9999, "1s"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.999, "59.999s"),
        (60, "1m0s"),
        (86.4, "1m26.4s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (86_400, "24h0m0s"),
    ],
)
def test_durations_are_written_as_openai_writes_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_repr_tells_the_level() -> None:
    assert repr(Bucket(60, 60, 0.0)) == "<Bucket 60 of 60, 60 a minute>"
