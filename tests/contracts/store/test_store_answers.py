"""What a store promises to whoever keeps answers for later jobs: contents, and one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from batcher.adapters.store.sql.store import SqlStore
from batcher.core.errors import StoreError
from batcher.ports import AnsweredPiece, BudgetShort, Checkpoint, Lease, Store
from tests.store.making import TTL, claim_one, make_checkpoint, make_shard, open_planned


def answered(lease: Lease, *pieces: int) -> Checkpoint:
    """A checkpoint of results that are told by content."""
    told = tuple(
        AnsweredPiece(
            content=b"%d" % piece,
            chunk=0,
            chunks=1,
            span=None,
            tokens=3,
            result=b"r",
            is_whole=True,
        )
        for piece in pieces
    )
    return replace(make_checkpoint(lease, done=pieces), answered=told)


in_sql = pytest.mark.parametrize("url", ["sqlite", "postgres"], indirect=True)
"""The store in memory is opened with nothing that keeps answers."""


class Keeper:
    """Remembers what it was given, or fails."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []
        self.fails = False

    def keep(self, connection: Connection, answers: Sequence[AnsweredPiece]) -> None:
        assert connection.in_transaction()
        self.contents += [one.content for one in answers]
        if self.fails:
            raise StoreError("no room for answers")


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
async def keeping(store: Store, keeper: Keeper) -> Store:
    """The same store, with something that keeps answers."""
    assert isinstance(store, SqlStore)
    return SqlStore(store._database, keeper.keep)


async def test_a_lease_has_contents_where_they_are_asked_for(store: Store) -> None:
    await open_planned(store, shards=2)
    plain = await store.claim("j1", "a", limit=1, ttl_seconds=TTL)
    (told,) = await store.claim("j1", "a", limit=1, ttl_seconds=TTL, contents=True)
    assert [lease.contents for lease in plain] == [None]
    assert told.contents == make_shard(1).plan.contents


@in_sql
async def test_answers_are_kept_once_and_under_the_right_fence(
    keeping: Store, keeper: Keeper
) -> None:
    await open_planned(keeping)
    lease = await claim_one(keeping)
    first = answered(lease, 0, 1)
    stale = replace(first, fence=lease.fence - 1)
    assert await keeping.checkpoint("j1", [stale]) == {lease.shard_id}
    assert keeper.contents == []
    for _ in range(2):
        assert await keeping.checkpoint("j1", [first]) == set()
    assert keeper.contents == [b"0", b"1"]


@in_sql
async def test_answers_that_cannot_be_kept_undo_their_checkpoint(
    keeping: Store, keeper: Keeper
) -> None:
    await open_planned(keeping)
    lease = await claim_one(keeping)
    keeper.fails = True
    with pytest.raises(StoreError):
        await keeping.checkpoint("j1", [answered(lease, 0)])
    assert (await keeping.tally("j1")).rows_done == 0
    keeper.fails = False
    assert await keeping.checkpoint("j1", [answered(lease, 0)]) == set()
    assert (await keeping.tally("j1")).rows_done == 1


@in_sql
async def test_nothing_is_kept_that_the_budget_does_not_allow(
    keeping: Store, keeper: Keeper
) -> None:
    await open_planned(keeping, budget=10)
    lease = await claim_one(keeping)
    with pytest.raises(BudgetShort):
        await keeping.checkpoint("j1", [replace(answered(lease, 0), reserved_picousd=99)])
    assert keeper.contents == []
