"""Whichever clock is asked, the error is on the safe side."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from batcher.adapters.throttle.ceilings import Ceilings
from batcher.adapters.throttle.timing import ServerClock

TRIPS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=20)


@given(st.floats(-1e6, 1e6), TRIPS)
@example(6.640000000000001, [(0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 1.0)])
def test_a_time_is_never_taken_for_an_earlier_one(
    behind: float, trips: list[tuple[float, float]]
) -> None:
    """The server's clock is behind ours by some seconds; calls take a while there and back."""
    clock, now = ServerClock(), 1000.0
    quickest, slowest = min(map(sum, trips)), max(map(sum, trips))
    for there, back in trips:
        clock.hear(now, now + there - behind, now + there + back)
        now += 10
        assert clock.here(now - behind) >= now - 1e-6
        assert clock.there(now) >= now - behind - 1e-6
        assert clock.here(now - behind) <= now + slowest + 1e-6
    assert clock.here(now - behind) <= now + quickest + 1e-6


def test_rounding_is_not_taken_for_a_clock_that_was_set() -> None:
    clock = ServerClock()
    clock.hear(10.0, 1.7e9 + 10.1, 10.1)
    clock.hear(20.1, 1.7e9 + 20.1 - 2.4e-7, 21.1)
    assert clock.here(1.7e9 + 30.0) < 30.1


def test_a_clock_that_was_set_is_learned_anew() -> None:
    clock = ServerClock()
    clock.hear(10.0, 110.0, 10.5)
    clock.hear(20.0, 20.0, 20.5)
    assert clock.here(20.0) == 20.5
    assert clock.there(20.0) == 20.0


def test_of_several_ceilings_the_lowest_holds_while_it_is_held() -> None:
    ceilings = Ceilings()
    assert ceilings.of("q") == (None, None)
    ceilings.add("q", 600, None)
    ceilings.add("q", 300, 1000)
    ceilings.add("q", None, 2000)
    assert ceilings.of("q") == (300, 1000)
    ceilings.remove("q", 300, 1000)
    assert ceilings.of("q") == (600, 2000)
    assert ceilings.of("another") == (None, None)
