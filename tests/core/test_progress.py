"""A shard's pieces through any history of leases: each exactly once, nothing forgotten."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from batcher.core.progress import (
    ShardEvent,
    ShardProgress,
    Unit,
    in_force,
    replay,
    unproven,
    unsettled,
    worklist,
)


def starts_of(pieces: int, random: Random) -> list[int]:
    """The first pieces of some planned requests."""
    return [0, *sorted(random.sample(range(1, pieces), random.randint(0, min(5, pieces - 1))))]


@dataclass
class History:
    """A shard worked on by lease after lease, each of which may die at any moment."""

    random: Random
    pieces: int
    starts: list[int] = field(default_factory=list)
    events: list[ShardEvent] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    sent: set[int] = field(default_factory=set)
    allowed: int = 0

    def lease(self, fence: int, *, retry: bool) -> None:
        """One lease: send some units, write down a part of what came of them, and die."""
        random = self.random
        progress = replay(self.events)
        if retry and progress.dead:
            reopened = tuple(random.sample(sorted(progress.dead), 1))
            self.events.append(ShardEvent(fence=fence, reopened=reopened))
            self.settled -= set(reopened)
            progress = replay(self.events)
            fence += 1
        units = worklist(self.starts, self.pieces, progress)
        flat = [piece for unit in units for piece in unit.pieces]
        assert sorted(flat) == flat
        assert set(flat) == set(range(self.pieces)) - self.settled
        assert len(flat) == len(set(flat))

        self.allowed = random.randint(0, len(units))
        self.sent = {piece for unit in units[: self.allowed] for piece in unit.pieces}
        for _ in range(random.randint(0, 3)):
            open_pieces = sorted(self.sent - self.settled)
            chosen = random.sample(open_pieces, random.randint(0, len(open_pieces)))
            cut = random.randint(0, len(chosen))
            done, dead = tuple(chosen[:cut]), tuple(chosen[cut:])
            cuts = tuple(random.sample(open_pieces, min(1, len(open_pieces))))
            attempts = {piece: random.randint(1, 5) for piece in open_pieces[:2]}
            self.events.append(
                ShardEvent(fence=fence, done=done, dead=dead, cuts=cuts, attempts=attempts)
            )
            self.settled |= set(chosen)


@given(st.integers(), st.integers(1, 40), st.integers(1, 6))
def test_every_piece_is_asked_for_until_it_is_settled(seed: int, pieces: int, leases: int) -> None:
    random = Random(seed)
    history = History(random, pieces, starts_of(pieces, random))
    for number in range(leases):
        fence = 1 + 3 * number
        retry = random.random() < 0.3
        history.lease(fence, retry=retry)
        left = unsettled(
            history.starts,
            pieces,
            history.events,
            sent_fence=fence + (1 if retry and _retried(history, fence) else 0),
            sent_through=history.allowed,
        )
        doubted = [piece for unit in left for piece in unit.pieces]
        assert len(doubted) == len(set(doubted))
        assert set(doubted) == history.sent - history.settled


def _retried(history: History, fence: int) -> bool:
    return any(event.fence == fence and event.reopened for event in history.events)


@given(st.integers(), st.integers(1, 30))
def test_units_never_cross_a_planned_request_or_a_cut(seed: int, pieces: int) -> None:
    random = Random(seed)
    starts = starts_of(pieces, random)
    cuts = set(random.sample(range(pieces), random.randint(0, pieces)))
    done = set(random.sample(range(pieces), random.randint(0, pieces)))
    for unit in worklist(starts, pieces, ShardProgress(done=done, cuts=cuts)):
        first, last = unit.pieces[0], unit.pieces[-1]
        assert not any(first < bound <= last for bound in {*starts, *cuts})


def test_attempts_are_those_of_the_most_tried_piece_that_is_missing() -> None:
    progress = replay([ShardEvent(fence=1, attempts={0: 5, 1: 2, 2: 3}, done=(0,))])
    first, second = worklist([0, 2], 4, progress)
    assert (first.pieces, first.attempts) == ((1,), 2)
    assert (second.pieces, second.attempts) == ((2, 3), 3)


def test_a_retry_begins_with_no_attempts() -> None:
    events = [
        ShardEvent(fence=1, dead=(1,), attempts={1: 6}),
        ShardEvent(fence=2, reopened=(1,)),
    ]
    (unit,) = worklist([0, 1], 2, replay([*events, ShardEvent(fence=3, done=(0,))]))
    assert (unit.pieces, unit.attempts) == ((1,), 0)


def test_replay_before_a_fence_is_what_that_fence_found() -> None:
    events = [ShardEvent(fence=1, done=(0,)), ShardEvent(fence=2, done=(1,))]
    assert replay(events, before_fence=2).done == {0}
    assert replay(events).done == {0, 1}


def test_a_lease_that_ended_cleanly_left_nothing_behind() -> None:
    assert unsettled([0], 9, [], sent_fence=1, sent_through=0) == []


def test_what_is_in_doubt_of_a_request_is_known_to_whoever_asks_for_the_same() -> None:
    """What was sent of other pieces is not: its answer would be another."""
    events = [
        ShardEvent(fence=1, doubts={0: (1, 2, 30, 4), 2: (2, 4, 60, 8)}),
        ShardEvent(fence=1, doubts={2: (0, 0, 0, 0)}),
    ]
    first, second = worklist([0, 2], 4, replay(events[:1]))
    assert (first.doubt, second.doubt) == ((1, 2, 30, 4), (2, 4, 60, 8))
    first, second = worklist([0, 2], 4, replay(events))
    assert (first.doubt, second.doubt) == ((1, 2, 30, 4), None)
    smaller = worklist([0, 2], 4, replay([*events, ShardEvent(fence=1, done=(1,))]))
    assert [unit.doubt for unit in smaller] == [None, None]


def test_a_result_that_is_taken_back_is_asked_for_again() -> None:
    events = [
        ShardEvent(fence=1, done=(0, 1), unproven=4, attempts={0: 2}),
        ShardEvent(fence=1, reopened=(0, 1), done=(1,), attempts={1: 3}),
    ]
    assert worklist([0], 3, replay(events[:1])) == [Unit(pieces=(2,))]
    assert worklist([0], 3, replay(events)) == [Unit(pieces=(0, 2), reopened=1)]
    assert replay(events).attempts == {1: 3}
    assert unproven(events[:1]) == {0: 4, 1: 4}
    assert unproven(events) == {}


def test_a_blob_counts_until_all_of_it_is_taken_back() -> None:
    first = (ShardEvent(fence=1, done=(0, 1)), b"first")
    second = (ShardEvent(fence=1, done=(2,), reopened=(0, 1)), b"second")
    again = (ShardEvent(fence=2, done=(1, 0)), b"again")
    partly = (ShardEvent(fence=2, reopened=(0,)), b"")
    assert in_force([first]) == (((0, 1), b"first"),)
    assert in_force([first, second]) == (((2,), b"second"),)
    assert in_force([first, second, again]) == (((2,), b"second"), ((1, 0), b"again"))
    assert in_force([first, partly]) == (((0, 1), b"first"),)


def test_what_a_taken_back_result_cost_may_be_billed_again() -> None:
    """The owner that took it back dies: the unit is among those it may have sent."""
    events = [ShardEvent(fence=1, done=(0, 1), unproven=4), ShardEvent(fence=1, reopened=(0, 1))]
    assert unsettled([0, 2], 4, events, sent_fence=1, sent_through=1) == [Unit(pieces=(0, 1))]
    assert unsettled([0, 2], 4, events[:1], sent_fence=1, sent_through=1) == []
