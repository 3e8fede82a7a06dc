"""Leased shards and calls for tests of the parts that act on them."""

from __future__ import annotations

from collections.abc import Sequence

from batcher.core.kind import Shape
from batcher.core.progress import ShardEvent
from batcher.core.row.asked import Asked
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.payload import ShardPlan, encode_plan
from batcher.ports import Lease


def a_lease(
    *requests: int,
    events: Sequence[ShardEvent] = (),
    sent_fence: int = 0,
    sent_through: int = 0,
    shard_id: int = 1,
) -> Lease:
    """The lease of a shard whose requests are of so many rows, of one piece and 10 tokens each."""
    rows = sum(requests)
    plan = ShardPlan(
        first_row=100,
        rows=rows,
        ids=None,
        piece_rows=list(range(rows)),
        tokens=[10] * rows,
        starts=[sum(requests[:at]) for at in range(len(requests))],
        chunks=None,
    )
    encoded = encode_plan(plan, Asked([(f"row {row}",) for row in range(rows)]))
    return Lease(
        shard_id=shard_id, ordinal=0, fence=3, expires_at=0.0,
        outline=encoded.outline, prompts=encoded.prompts,
        events=events, sent_fence=sent_fence, sent_through=sent_through,
    )  # fmt: skip


def a_shard(*requests: int, shape: Shape = Shape.JSON, shard_id: int = 1) -> LeasedShard:
    """A leased shard of which nothing is done yet."""
    return LeasedShard(a_lease(*requests, shard_id=shard_id), shape)
