"""A leased shard: what is settled, what is taken back, and what its checkpoints say of it."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batcher.core.kind import Shape
from batcher.core.progress import ShardEvent, replay
from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.results import split_results
from tests.engine.calls import a_lease, a_shard

VECTOR = bytes(4)


def test_a_checkpoint_holds_what_came_since_the_last_one() -> None:
    shard = a_shard(1, 1, 1)
    shard.settle(2, b'{"x":1}')
    assert shard.bury(0, "content_filter", "no", 1) == 100
    first = shard.take_checkpoint(sent_through=3, released=False)
    assert (first.seq, first.event.done, first.event.dead, first.rows_done) == (0, (2,), (0,), 1)
    assert split_results(Shape.JSON, 1, first.results) == [b'{"x":1}']
    assert [(letter.row, letter.code) for letter in first.dead] == [(100, "content_filter")]
    assert not shard.finished
    shard.settle(1, b"{}")
    second = shard.take_checkpoint(sent_through=3, released=False)
    assert (second.seq, second.event.done, second.event.dead) == (1, (1,), ())
    assert second.finished


def test_a_vector_that_is_taken_back_is_asked_for_again() -> None:
    shard = a_shard(2, shape=Shape.VECTOR)
    shard.leave_unproven([0, 1], 1)
    shard.settle(0, VECTOR)
    shard.settle(1, VECTOR)
    assert not shard.finished, "nobody has confirmed the length"
    kept = shard.take_checkpoint(sent_through=1, released=False)
    assert (kept.event.unproven, kept.rows_done) == (1, 2)
    assert sorted(shard.prove(2)) == [0, 1]
    shard.take_back([0, 1])
    taken = shard.take_checkpoint(sent_through=1, released=False)
    assert (taken.event.reopened, taken.rows_done, taken.finished) == ((0, 1), -2, False)


def test_what_was_sent_without_a_result_was_left_behind() -> None:
    """The last owner might send three requests, and settled the second."""
    lease = a_lease(
        1, 1, 1, 1, events=[ShardEvent(fence=2, done=(1,))], sent_fence=2, sent_through=3
    )
    shard = LeasedShard(lease, Shape.JSON)
    assert [unit.pieces for unit in shard.left_behind(lease)] == [(0,), (2,)]
    assert [call.pieces for call in shard.calls] == [(0,), (2,), (3,)]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=6, unique_by=lambda x: x[0]))
def test_whoever_reads_the_checkpoints_knows_what_is_left(ends: list[tuple[int, bool]]) -> None:
    """Pieces end in any order, by a result or for good, and each is written down at once."""
    shard, events = a_shard(*[1] * 6), []
    for piece, done in ends:
        if done:
            shard.settle(piece, b"{}")
        else:
            shard.bury(piece, "code", "message", 1)
        events.append(shard.take_checkpoint(sent_through=6, released=False).event)
    left = [piece for piece in range(6) if piece not in dict(ends)]
    again = LeasedShard(a_lease(*[1] * 6, events=events), Shape.JSON)
    assert [call.pieces for call in again.calls] == [(piece,) for piece in left]
    assert again.finished == shard.finished == (not left)
    assert replay(events).dead == {piece for piece, done in ends if not done}


def ten_a_piece(call: Call, pieces: Sequence[int]) -> int:
    return sum(call.shard.plan.tokens[piece] for piece in pieces)


def test_the_worst_case_is_reserved_for_what_is_in_no_checkpoint_yet() -> None:
    shard = a_shard(1, 1, 1)
    shard.settle(0, b"{}")
    assert shard.reserved(2, ten_a_piece) == 20
    shard.take_checkpoint(sent_through=2, released=False)
    assert shard.reserved(2, ten_a_piece) == 10
