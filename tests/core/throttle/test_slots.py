"""The slots of a process: never more than there are, none idle that is wanted, shares by weight."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.slots import Seat, Slots


@dataclass
class Job:
    """A job that starts what it wants as soon as it is let, when it is woken."""

    slots: Slots
    weight: float = 1.0
    left: int = 0
    woken: int = 0
    ended: int = 0
    seat: Seat = field(init=False)

    def __post_init__(self) -> None:
        self.seat = Seat(self.weight, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def look(self) -> int:
        """Start what may be started; returns how many."""
        self.woken = 0
        started = 0
        while self.left and self.slots.room(self.seat, self.left) > 0:
            self.slots.take(self.seat)
            self.left -= 1
            started += 1
        self.slots.room(self.seat, self.left)
        return started

    def land(self) -> None:
        self.ended += 1
        self.slots.give(self.seat)
        self.wake()


def test_without_a_limit_all_that_is_wanted_may_start() -> None:
    slots = Slots()
    seat = Seat(1.0, lambda: None)
    with slots.shared(seat):
        assert slots.room(seat, 1_000) == 1_000
        assert slots.room(seat, 0) == 0


def test_what_a_job_never_gave_back_is_free_once_it_is_over() -> None:
    slots = Slots(4)
    aborted, other = Seat(1.0, lambda: None), Seat(1.0, lambda: None)
    with slots.shared(other):
        with slots.shared(aborted):
            slots.take(aborted)
        assert slots.in_flight == 0
        assert slots.room(other, 9) == 4


def test_one_job_alone_has_all() -> None:
    slots = Slots(10)
    job = Job(slots, left=100)
    with slots.shared(job.seat):
        assert job.look() == 10
        assert repr(slots) == "<Slots 10 of 10, 1 jobs>"
        assert repr(job.seat) == "<Seat 10 and wants more>"


def test_what_a_job_has_beyond_its_share_comes_to_the_others_as_its_requests_end() -> None:
    slots = Slots(10)
    big, small = Job(slots, left=1_000), Job(slots, left=1_000)
    with slots.shared(big.seat), slots.shared(small.seat):
        assert big.look() == 10
        assert small.look() == 0
        for _ in range(5):
            big.land()
            assert small.woken
            big.look()
            small.look()
        assert (big.seat.in_flight, small.seat.in_flight) == (5, 5)


def test_what_a_job_leaves_when_it_ends_is_used_at_once() -> None:
    slots = Slots(10)
    stays, leaves = Job(slots, left=1_000), Job(slots, left=5)
    with slots.shared(stays.seat):
        with slots.shared(leaves.seat):
            assert leaves.look() == 5
            assert stays.look() == 5
            for _ in range(5):
                leaves.land()
        assert stays.woken
        assert stays.look() == 5


@pytest.mark.parametrize("maximum", [1, 2, 7, 30])
@given(
    weights=st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=1, max_size=6),
    rotations=st.lists(st.integers(0, 5), min_size=1, max_size=5),
)
@settings(deadline=None, max_examples=30)
def test_hungry_jobs_get_their_shares_and_nobody_starves(
    maximum: int, weights: list[float], rotations: list[int]
) -> None:
    slots = Slots(maximum)
    jobs = deque(Job(slots, weight, left=10**9) for weight in weights)
    in_flight: deque[Job] = deque()
    with ExitStack() as stack:
        for job in jobs:
            stack.enter_context(slots.shared(job.seat))
            in_flight.extend([job] * job.look())
        for number in range(200):
            assert len(in_flight) == slots.in_flight == maximum
            in_flight.popleft().land()
            jobs.rotate(rotations[number % len(rotations)])
            for job in jobs:
                if job.woken:
                    in_flight.extend([job] * job.look())
        for job in jobs:
            share = maximum * job.weight / sum(weights)
            assert abs(job.seat.in_flight - share) <= len(jobs)
            assert job.ended > 0


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["want", "land"]), st.integers(0, 3), st.integers(1, 9))
    ),
    maximum=st.integers(1, 8),
)
def test_no_slot_is_idle_that_somebody_wants(
    steps: list[tuple[str, int, int]], maximum: int
) -> None:
    slots = Slots(maximum)
    jobs = [Job(slots, weight) for weight in (1.0, 1.0, 2.0, 4.0)]
    with ExitStack() as stack:
        for job in jobs:
            stack.enter_context(slots.shared(job.seat))
        for what, which, how_many in steps:
            job = jobs[which]
            if what == "want":
                job.left += how_many
                job.wake()
            elif job.seat.in_flight:
                job.land()
            while any(job.woken for job in jobs):
                for job in jobs:
                    if job.woken:
                        job.look()
            assert slots.in_flight <= maximum
            assert slots.in_flight == maximum or not any(job.left for job in jobs)
    assert Counter(job.seat.wants for job in jobs) == {False: 4}
