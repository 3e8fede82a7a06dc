"""A plan is the same whoever makes it, and whenever the other process is ready or fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import KindFailed
from batcher.engine.planning.handover import HandoverPlanner
from batcher.engine.planning.planner import Planner
from batcher.ports import GuardStopped, NewShard
from tests.engine.planning.test_planner import planner_of

TEXTS = [f"text number {number}" for number in range(2_000)]


class Process:
    """A process that is ready at the given look, and fails at the given take (None: never)."""

    def __init__(self, ready_at: int | None, fails_at: int | None, *, faulty: int | None) -> None:
        self._looks_left = ready_at
        self._takes_left = fails_at
        self._faulty = faulty
        self._planner: Planner | None = None
        self.stopped = False
        self.input_sha256: str | None = None

    def is_ready(self) -> bool:
        if self._looks_left is None:
            return False
        self._looks_left -= 1
        return self._looks_left < 0

    def begin(self, next_row: int, next_shard: int) -> None:
        self._planner = planner_of(
            TEXTS, next_row=next_row, next_shard=next_shard, fails_at=self._faulty
        )

    def take(self) -> Sequence[NewShard] | None:
        if self.stopped:
            raise GuardStopped
        if self._takes_left is not None:
            self._takes_left -= 1
            if self._takes_left < 0:
                return None
        assert self._planner is not None
        try:
            shards = self._planner.next_shards(500, 10**6)
        except KindFailed:
            return None
        self.input_sha256 = self._planner.input_sha256
        return shards

    def stop(self) -> None:
        self.stopped = True


def handover(process: Process | None, *, faulty: int | None = None) -> HandoverPlanner:
    return HandoverPlanner(
        lambda row, shard: planner_of(TEXTS, next_row=row, next_shard=shard, fails_at=faulty),
        lambda: process,
        next_row=0,
        next_shard=0,
    )


def all_shards(planner: HandoverPlanner | Planner) -> list[NewShard]:
    shards: list[NewShard] = []
    while planned := planner.next_shards(300, 10**6):
        shards += planned
    return shards


WHOLE = all_shards(planner_of(TEXTS))


@given(ready_at=st.none() | st.integers(0, 9), fails_at=st.none() | st.integers(0, 5))
def test_the_plan_is_that_of_one_planner(ready_at: int | None, fails_at: int | None) -> None:
    planner = handover(Process(ready_at, fails_at, faulty=None))
    assert all_shards(planner) == WHOLE
    assert planner.next_row == len(TEXTS)
    assert planner.input_sha256 == "the hash"


def test_where_no_process_can_be_started_the_thread_plans_all() -> None:
    assert all_shards(handover(None)) == WHOLE


@given(ready_at=st.none() | st.integers(0, 9))
def test_a_fault_of_the_kind_is_told_as_by_one_planner(ready_at: int | None) -> None:
    planner = handover(Process(ready_at, None, faulty=1_300), faulty=1_300)
    shards: list[NewShard] = []
    while planner.next_row < 1_280:
        shards += planner.next_shards(300, 10**6)
    with pytest.raises(KindFailed, match="cannot go on"):
        planner.next_shards(300, 10**6)
    assert shards == WHOLE[: len(shards)]
    assert planner.next_row == 1_280


def test_who_is_stopped_stops_the_process() -> None:
    process = Process(0, None, faulty=None)
    planner = handover(process)
    planner.next_shards(300, 10**6)
    planner.stop()
    assert process.stopped
    with pytest.raises(GuardStopped):
        planner.next_shards(300, 10**6)


def test_who_is_stopped_does_not_go_on_in_the_thread() -> None:
    process = Process(0, 1, faulty=None)
    planner = handover(process)
    planner.next_shards(300, 10**6)
    planner.stop()
    process.stopped = False
    with pytest.raises(GuardStopped):
        planner.next_shards(300, 10**6)
