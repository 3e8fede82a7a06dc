"""Results that are taken back: vectors of a length that a later majority does not have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from batcher.core.progress import ShardEvent
from tests.store.making import claim_one, make_checkpoint, open_planned

if TYPE_CHECKING:
    from batcher.ports import Store


async def test_what_is_taken_back_is_open_again_and_its_results_count_no_more(
    store: Store,
) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    first = ShardEvent(fence=1, done=(0, 1), unproven=4)
    back = ShardEvent(fence=1, reopened=(0, 1))
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=(0, 1), event=first)])
    await store.checkpoint("j1", [make_checkpoint(lease, 2, done=(3,))])
    taken = replace(make_checkpoint(lease, 3, event=back, released=True), rows_done=-2)
    await store.checkpoint("j1", [taken])

    tally = await store.tally("j1")
    assert (tally.rows_done, tally.pieces_done) == (1, 1)
    assert tally.usage.requests == 3  # what was paid stays
    (stored,) = [shard async for shard in store.shards("j1")]
    assert stored.results == (((3,), b"3"),)
    again = await claim_one(store)
    assert again.events == (first, ShardEvent(fence=1, done=(3,)), back)


async def test_what_is_asked_for_again_counts_once(store: Store) -> None:
    """Also where the same checkpoint takes it back and brings its new result."""
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=(0, 1))])
    both = ShardEvent(fence=1, done=(1, 0), reopened=(0, 1))
    second = replace(make_checkpoint(lease, 2, done=(1, 0), event=both), rows_done=0)
    await store.checkpoint("j1", [second])

    tally = await store.tally("j1")
    assert (tally.rows_done, tally.pieces_done) == (2, 2)
    (stored,) = [shard async for shard in store.shards("j1")]
    assert stored.results == (((1, 0), b"1,0"),)
