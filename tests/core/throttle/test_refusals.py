"""Whether 429s are a limit or chance: the judgement itself."""

from __future__ import annotations

import pytest

from batcher.core.throttle.refusals import CHANCE_MOST, PATIENCE, Refusals


def measured(rate: float) -> Refusals:
    """After two 429s, ten seconds apart, between which so many requests a second were served."""
    refusals = Refusals()
    refusals.start(0.0, emptied=True)
    for number in range(round(10 * rate)):
        refusals.count(100, number / rate, admitted=True)
    refusals.judge(rate)
    refusals.measure(10.0, 1.0, float("inf"))
    return refusals


def test_what_is_served_between_two_429s_is_measured() -> None:
    assert measured(20).measured == pytest.approx(20)


def test_before_the_first_429_nothing_is_measured() -> None:
    refusals = Refusals()
    refusals.start(0.0, emptied=False)
    for _ in range(100):
        refusals.count(1, 1.0, admitted=True)
    assert refusals.measure(10.0, 1.0, float("inf")) == pytest.approx(10)
    assert refusals.measured == 0


def test_the_scarcer_of_known_limits_is_measured() -> None:
    refusals = Refusals()
    refusals.start(0.0, emptied=True)
    for _ in range(50):
        refusals.count(100, 1.0, admitted=True)
    refusals.measure(10.0, 10.0, 1000.0)
    assert refusals.measured == pytest.approx(0.5)


def test_answers_to_earlier_requests_prove_nothing_of_this_span() -> None:
    refusals = Refusals()
    refusals.start(5.0, emptied=True)
    refusals.count(1, 4.9, admitted=True)
    refusals.measure(6.0, 1.0, float("inf"))
    assert refusals.measured == 0


def test_429s_at_what_was_served_before_are_a_limit() -> None:
    refusals = measured(20)
    for _ in range(10):
        refusals.judge(18)
    assert not refusals.by_chance


def test_429s_far_below_what_was_served_before_are_chance() -> None:
    refusals = measured(20)
    for _ in range(int(PATIENCE)):
        assert not refusals.by_chance
        refusals.judge(15)
    assert refusals.by_chance


def test_chance_remains_until_too_many_are_refused() -> None:
    refusals = measured(20)
    refusals.judge(10)
    refusals.judge(10)
    refusals.judge(20)
    assert refusals.in_vain == PATIENCE
    for _ in range(15):
        refusals.count(1, 11.0, admitted=False)
    assert refusals.in_vain == PATIENCE
    for _ in range(5):
        refusals.count(1, 11.0, admitted=False)
    assert refusals.refused > CHANCE_MOST
    assert refusals.in_vain == 0
    refusals.judge(1)
    assert refusals.in_vain == 0, "what was measured is forgotten, too"


def test_what_was_measured_long_ago_stands_for_little() -> None:
    refusals = measured(20)
    for number in range(600):
        refusals.count(1, 10.0 + number, admitted=True)
    refusals.measure(610.0, 1.0, float("inf"))
    assert refusals.measured == pytest.approx(1.0)
