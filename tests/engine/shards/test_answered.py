"""What a shard tells of its results by content: what is certain, once, and all of it."""

from __future__ import annotations

from dataclasses import replace

from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.core.kind import Shape
from batcher.core.row.asked import Asked
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import AnsweredPiece
from tests.engine.calls import a_lease, a_shard

CONTENTS = [bytes([row + 1]) * CONTENT_BYTES for row in range(4)]
VECTOR = bytes(8)


def keeping(*requests: int, shape: Shape = Shape.JSON) -> LeasedShard:
    """A leased shard whose rows have contents."""
    contents = b"".join(CONTENTS[: sum(requests)])
    return LeasedShard(replace(a_lease(*requests), contents=contents), shape)


def told(shard: LeasedShard) -> list[AnsweredPiece]:
    return [*shard.take_checkpoint(sent_through=0, released=False).answered]


def test_each_result_is_told_once_with_its_content() -> None:
    shard = keeping(1, 1, 1)
    shard.settle(2, b"{}")
    shard.settle(0, b"[]", is_whole=False)
    shard.bury(1, "refused", "no", 1)
    first, second = told(shard)
    assert first == AnsweredPiece(
        content=CONTENTS[2], chunk=0, chunks=1, span=None, tokens=10, result=b"{}", is_whole=True
    )
    assert (second.content, second.is_whole) == (CONTENTS[0], False)
    assert told(shard) == []


def test_a_lease_without_contents_gathers_nothing() -> None:
    shard = a_shard(1)
    shard.settle(0, b"{}")
    assert not shard.keeps_answers
    assert told(shard) == []


def test_a_row_without_a_content_is_not_told() -> None:
    shard = LeasedShard(replace(a_lease(1, 1), contents=bytes(CONTENT_BYTES) + CONTENTS[1]),
                        Shape.JSON)  # fmt: skip
    shard.settle(0, b"{}")
    shard.settle(1, b"{}")
    assert [one.content for one in told(shard)] == [CONTENTS[1]]


def test_a_vector_is_told_when_its_length_is_proven() -> None:
    shard = keeping(2, shape=Shape.VECTOR)
    shard.leave_unproven([0, 1], 2)
    shard.settle(0, VECTOR)
    shard.settle(1, VECTOR)
    assert told(shard) == []
    assert shard.prove(2) == []
    assert [one.content for one in told(shard)] == CONTENTS[:2]


def test_a_vector_that_is_taken_back_is_not_told() -> None:
    shard = keeping(2, shape=Shape.VECTOR)
    shard.leave_unproven([0, 1], 2)
    shard.settle(0, VECTOR)
    assert told(shard) == []
    shard.settle(1, VECTOR)
    shard.take_back(shard.prove(3))
    assert told(shard) == []
    shard.settle(0, VECTOR)
    assert [one.content for one in told(shard)] == CONTENTS[:1]


def test_the_pieces_of_a_row_say_which_of_how_many_they_are() -> None:
    chunks = [(0, 0, 5), (0, 0, 4), (1, 3, 7), (2, 6, 9)]
    plan = ShardPlan(
        first_row=0, rows=2, ids=None, piece_rows=[0, 1, 1, 1], tokens=[4, 3, 2, 1], starts=[0],
        chunks=chunks,
    )  # fmt: skip
    encoded = encode_plan(plan, Asked([("text",)] * 4))
    lease = replace(
        a_lease(1), outline=encoded.outline, prompts=encoded.prompts,
        contents=b"".join(CONTENTS[:2]),
    )  # fmt: skip
    shard = LeasedShard(lease, Shape.JSON)
    for piece in (3, 0, 2, 1):
        shard.settle(piece, b"%d" % piece)
    found = {one.result: (one.content, one.chunk, one.chunks, one.span, one.tokens)
             for one in told(shard)}  # fmt: skip
    assert found == {
        b"0": (CONTENTS[0], 0, 1, (0, 5), 4),
        b"1": (CONTENTS[1], 0, 3, (0, 4), 3),
        b"2": (CONTENTS[1], 1, 3, (3, 7), 2),
        b"3": (CONTENTS[1], 2, 3, (6, 9), 1),
    }
