from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.concurrency import ConcurrencyWindow


def test_one_request_until_the_first_answer() -> None:
    window = ConcurrencyWindow(50)
    assert window.size == 1
    window.objected(window.epoch, limits_known=False)
    assert window.size == 1


def test_known_limits_open_it_at_once() -> None:
    window = ConcurrencyWindow(50)
    window.succeeded(limits_known=True)
    assert window.size == 50
    window.objected(window.epoch, limits_known=True)
    assert window.size == 50


def test_slow_start_doubles_per_round_trip_up_to_the_maximum() -> None:
    window = ConcurrencyWindow(50)
    sizes = []
    for _ in range(7):
        for _ in range(window.size):
            window.succeeded(limits_known=False)
        sizes.append(window.size)
    assert sizes == [2, 4, 8, 16, 32, 50, 50]


def test_an_objection_lowers_it_once_per_epoch() -> None:
    window = ConcurrencyWindow(100)
    for _ in range(39):
        window.succeeded(limits_known=False)
    epoch = window.epoch
    assert window.size == 40
    for _ in range(40):
        window.objected(epoch, limits_known=False)
    assert window.size == 30
    window.objected(window.epoch, limits_known=False)
    assert window.size == 22


def test_after_an_objection_it_grows_by_about_one_per_window() -> None:
    window = ConcurrencyWindow(100)
    for _ in range(39):
        window.succeeded(limits_known=False)
    window.objected(window.epoch, limits_known=False)
    for _ in range(31):
        window.succeeded(limits_known=False)
    assert window.size == 31


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 3))), st.integers(1, 64))
def test_it_stays_between_one_and_its_maximum(
    answers: list[tuple[bool, bool, int]], maximum: int
) -> None:
    window = ConcurrencyWindow(maximum)
    for good, known, age in answers:
        if good:
            window.succeeded(limits_known=known)
        else:
            window.objected(window.epoch - age, limits_known=known)
        assert 1 <= window.size <= maximum


@pytest.mark.parametrize(("maximum", "initial"), [(0, 1), (5, 0), (5, 6)])
def test_impossible_sizes_are_refused(maximum: int, initial: int) -> None:
    with pytest.raises(ValueError, match="window"):
        ConcurrencyWindow(maximum, initial)


def test_repr() -> None:
    window = ConcurrencyWindow(8)
    window.succeeded(limits_known=False)
    assert repr(window) == "<ConcurrencyWindow 2 of 8>"
