"""How far shards may be sent ahead of a checkpoint, and what is reserved for that."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.shards.allowance import INTERVAL_SECONDS, Allowance, Reservations, share_out
from batcher.ports import BudgetShort, Checkpoint
from tests.engine.calls import a_shard


def test_the_next_interval_is_allowed_what_the_last_one_sent_and_one() -> None:
    allowance = Allowance()
    for _ in range(20):
        allowance.note_sent()
    allowance.renew(1.0)
    assert allowance.ahead == 21
    allowance.renew(1.0 + 2 * INTERVAL_SECONDS)
    assert allowance.ahead == 10, "half of it, and not less at once"


def test_where_it_was_too_little_it_doubles() -> None:
    allowance, now, granted = Allowance(), 1.0, []
    for _ in range(6):
        allowance.renew(now)
        granted.append(allowance.ahead)
        for _ in range(allowance.ahead):
            allowance.note_sent()
    assert granted == sorted(granted)
    assert granted[-1] >= 2 ** (len(granted) - 1)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(0, 30))
def test_the_oldest_shard_is_allowed_first_and_nothing_twice(sizes: list[int], ahead: int) -> None:
    shards = [a_shard(*[1] * size, shard_id=at) for at, size in enumerate(sizes)]
    shares = share_out(shards, ahead)
    assert sum(shares.values()) == min(ahead, sum(sizes))
    open_before = [size - shares[at] for at, size in enumerate(sizes)]
    for at in range(len(sizes) - 1):
        assert not open_before[at] or not shares[at + 1]


def test_it_is_time_to_commit_before_the_allowance_is_used_up() -> None:
    allowance, shard = Allowance(), a_shard(*[1] * 100)
    allowance.ahead = 8
    shard.worklist.sent_through = 8
    allowance.granted([shard])
    assert [allowance.note_sent() for _ in range(8)].index(True) == 5


class Store:
    """Has money for so many picodollars, and keeps what was written."""

    def __init__(self, picousd: int) -> None:
        self.picousd = picousd
        self.written: list[Checkpoint] = []

    async def write(self, checkpoints: Sequence[Checkpoint]) -> set[int]:
        reserved = sum(checkpoint.reserved_picousd for checkpoint in checkpoints)
        if reserved > self.picousd:
            raise BudgetShort(self.picousd)
        self.written += checkpoints
        return set()


async def committed(picousd: int) -> tuple[Reservations, Allowance, Store]:
    """A shard of eight requests, at a picodollar a token, is to be sent whole."""
    store = Store(picousd)
    reservations = Reservations(store.write, lambda call, pieces: 10 * len(pieces))
    allowance, shard = Allowance(), a_shard(*[1] * 8)
    allowance.ahead = 8
    whole = shard.take_checkpoint(sent_through=8, released=False)
    batch = [reservations.reserving(whole, shard, 8)]
    await reservations.commit(batch, {shard.id: shard}, allowance)
    return reservations, allowance, store


async def test_where_the_budget_is_short_less_is_allowed() -> None:
    reservations, allowance, store = await committed(35)
    (written,) = store.written
    assert (written.sent_through, written.reserved_picousd) == (2, 20)
    assert (allowance.ahead, reservations.budget_short) == (2, False)


async def test_where_there_is_no_money_nothing_is_allowed() -> None:
    reservations, _, store = await committed(5)
    assert [written.sent_through for written in store.written] == [0]
    assert reservations.budget_short


def test_what_is_allowed_already_asks_for_no_more() -> None:
    shard = a_shard(*[1] * 4)
    reservations = Reservations(Store(0).write, lambda call, pieces: 50 * len(pieces))
    shard.worklist.sent_through, shard.worklist.reserved_picousd = 4, 7
    again = shard.take_checkpoint(sent_through=4, released=False)
    assert reservations.reserving(again, shard, 4).reserved_picousd == 7
