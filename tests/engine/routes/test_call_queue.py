"""The queue of calls: what goes first, what waits, and that nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.shards.call import Call
from tests.engine.calls import a_shard
from tests.fakes import FakeClock


def units(calls: Sequence[Call]) -> list[int]:
    return [call.unit_index for call in calls]


def filled(requests: int) -> tuple[FakeClock, CallQueue, list[Call]]:
    clock = FakeClock()
    queue = CallQueue(clock)
    shard = a_shard(*[1] * requests)
    queue.add(shard)
    return clock, queue, shard.calls


def test_repeats_go_before_first_sends_when_their_time_has_come() -> None:
    clock, queue, calls = filled(3)
    first, *_ = queue.take(1)
    queue.again(first, after_seconds=5.0)
    assert not queue.move_due(clock.now(), 0, behind=False)
    assert units(queue.ready) == [1, 2]
    assert queue.next_due(clock.now()) == clock.now() + 5.0
    queue.move_due(clock.now() + 5.0, 0, behind=False)
    assert units(queue.ready) == [0, 1, 2]
    assert len(queue) == 3 == len(calls)


def test_in_a_doubt_repeats_go_behind_what_nobody_has_tried() -> None:
    clock, queue, _ = filled(2)
    (first,) = queue.take(1)
    queue.again(first)
    queue.move_due(clock.now(), 0, behind=True)
    assert units(queue.ready) == [1, 0]


def test_a_call_waits_for_the_checkpoint_that_holds_its_record() -> None:
    clock, queue, _ = filled(1)
    (call,) = queue.take(1)
    call.after_flush = 7
    queue.again(call)
    assert queue.move_due(clock.now(), 6, behind=False), "a record has to be written"
    assert queue.has_repeats
    assert not queue.ready
    assert not queue.move_due(clock.now(), 7, behind=False)
    assert units(queue.ready) == [0]


def test_one_call_goes_before_all_others() -> None:
    clock, queue, _ = filled(2)
    last = queue.take(2)[1]
    queue.add(a_shard(1))
    last.after_flush = 1
    queue.before_all(last)
    assert queue.move_due(clock.now(), 0, behind=False)
    queue.take_first()
    assert queue.ready[0] is last
    assert queue.first is None


def test_what_cannot_be_paid_for_lets_only_repeats_pass() -> None:
    _, queue, calls = filled(4)
    calls[2].tried_at = 1.0
    taken = queue.take_paid(4, lambda call: call is not calls[1])
    assert units(taken) == [0, 2]
    assert units(queue.ready) == [1, 3]


@given(aside=st.lists(st.integers(0, 3), max_size=3), requests=st.integers(1, 6))
def test_what_is_set_aside_waits_like_the_rest_and_comes_back_in_its_order(
    aside: list[int], requests: int
) -> None:
    _, queue, calls = filled(requests)
    for number in aside:
        queue.set_aside(queue.take(min(number, len(queue.ready))))
    assert units(list(queue.aside)) == list(range(min(sum(aside), requests)))
    assert len(queue) == requests
    assert sorted(units(list(queue.waiting()))) == list(range(requests))
    queue.bring_back()
    assert list(queue.ready) == calls
    assert not queue.aside


def test_calls_of_a_lost_shard_are_forgotten() -> None:
    _, queue, calls = filled(2)
    queue.add(a_shard(1, shard_id=2))
    calls[0].shard.lost = True
    queue.drop_lost()
    assert [call.shard.id for call in queue.ready] == [2]
