"""How many calls may be in flight: by the window, by probes, by shared slots, and by memory."""

from __future__ import annotations

from random import Random

from batcher.core.failures.outage import OUTAGE_AFTER_SECONDS, Health
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.slots import Seat, Slots
from batcher.engine.routes.online.in_flight import MOST_PIECES, InFlight
from tests.engine.calls import a_shard
from tests.fakes import FakeClock


class Flight:
    """A window of eight that is open, and what is in flight."""

    def __init__(self, slots: Slots | None = None) -> None:
        self.clock = FakeClock()
        self.health = Health()
        window = ConcurrencyWindow(8, 8)
        window.succeeded(limits_known=True)
        self.in_flight = InFlight(
            window,
            self.health,
            slots=slots or Slots(),
            seat=Seat(1.0, lambda: None),
            clock=self.clock,
            chance=Random(1),
        )

    def room(self, wanted: int = 100) -> int:
        return self.in_flight.room(self.clock.now(), wanted)


def test_the_window_bounds_what_is_in_flight() -> None:
    flight = Flight()
    calls = a_shard(1, 1, 1).calls
    for call in calls:
        flight.in_flight.start(call)
    assert (flight.in_flight.count, flight.room()) == (3, 5)
    for call in calls:
        flight.in_flight.land(call)
    assert (flight.in_flight.count, flight.room()) == (0, 8)


def test_in_an_outage_one_probe_goes_out_and_the_next_one_waits() -> None:
    flight = Flight()
    flight.health.failed(flight.clock.now(), "timeout")
    flight.clock.set(flight.clock.now() + OUTAGE_AFTER_SECONDS)
    assert flight.room() == 1
    flight.health.failed(flight.clock.now(), "timeout")
    flight.in_flight.probe_failed()
    assert flight.room() == 0
    due = flight.in_flight.next_probe(flight.clock.now())
    assert due is not None
    flight.clock.set(due)
    assert (flight.room(), flight.in_flight.next_probe(due)) == (1, None)


def test_shared_slots_bound_it_too() -> None:
    flight = Flight(Slots(2))
    with flight.in_flight.seated():
        assert flight.room() == 2
        flight.in_flight.start(a_shard(1).calls[0])
        assert flight.room() == 1
        assert flight.room(wanted=0) == 0


def test_a_call_of_any_size_goes_alone_and_large_ones_not_together() -> None:
    flight = Flight()
    large, other = a_shard(MOST_PIECES, 1).calls
    assert flight.in_flight.holds(large)
    flight.in_flight.start(other)
    assert not flight.in_flight.holds(large)
