"""A shard's bytes: plans with and without contents."""

from __future__ import annotations

import orjson
import zstandard

from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.engine.shards.payload import ShardPlan, decode_plan, encode_plan


def make_plan(contents: bytes | None) -> ShardPlan:
    return ShardPlan(
        first_row=5,
        rows=2,
        ids=["a", None],
        piece_rows=[0],
        prompts=[("text",)],
        tokens=[1],
        starts=[0],
        chunks=None,
        contents=contents,
    )


def test_a_plan_keeps_the_contents_of_its_rows() -> None:
    hashed = bytes(range(1, CONTENT_BYTES + 1))
    plan = make_plan(hashed + bytes(CONTENT_BYTES))
    assert decode_plan(encode_plan(plan)) == plan
    assert [plan.content_of(row) for row in (0, 1)] == [hashed, None]


def test_a_plan_of_a_version_without_contents_is_read() -> None:
    plain = orjson.loads(zstandard.decompress(encode_plan(make_plan(None))))
    del plain["contents"]
    plan = decode_plan(zstandard.compress(orjson.dumps(plain)))
    assert plan == make_plan(None)
    assert plan.content_of(0) is None
