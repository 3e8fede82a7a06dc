"""What every store promises of checkpoints, budgets and retries (`batcher.ports.ShardStore`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from batcher.core.model import (
    DeadLetter,
    Doubt,
    FailureCount,
    JobEvent,
    JobState,
    RowId,
    Usage,
)
from batcher.core.progress import ShardEvent
from batcher.ports import BudgetShort, Lease, StoredShard
from tests.fakes import FakeClock
from tests.store.making import (
    START,
    TTL,
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    make_shard,
    open_planned,
    stored,
)

if TYPE_CHECKING:
    from batcher.ports import Store


# --- checkpoints ------------------------------------------------------------------------------


async def test_results_are_read_as_they_were_written(store: Store) -> None:
    await open_planned(store, shards=3)
    one, two, _ = await store.claim("j1", "a", limit=3, ttl_seconds=TTL)
    await store.checkpoint(
        "j1", [make_checkpoint(two, 0, done=[3, 1]), make_checkpoint(one, 0, done=[0])]
    )
    await store.checkpoint(
        "j1",
        [
            make_checkpoint(two, 1, dead={0: make_dead(4)}),
            make_checkpoint(two, 2, done=[2], finished=True),
        ],
    )
    assert await stored(store) == [
        StoredShard(
            ordinal=0,
            first_row=0,
            rows=4,
            outline=b"outline 0",
            columns=None,
            results=(((0,), b"0"),),
            dead_rows=frozenset(),
        ),
        StoredShard(
            ordinal=1,
            first_row=4,
            rows=4,
            outline=b"outline 1",
            columns=b"columns 1",
            results=(((3, 1), b"3,1"), ((2,), b"2")),
            dead_rows=frozenset({4}),
        ),
        StoredShard(
            ordinal=2,
            first_row=8,
            rows=4,
            outline=b"outline 2",
            columns=None,
            results=(),
            dead_rows=frozenset(),
        ),
    ]


async def test_results_come_in_the_order_of_fence_and_seq(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    first = await claim_one(store, "a")
    await store.checkpoint("j1", [make_checkpoint(first, 8, done=[0])])
    await store.checkpoint("j1", [make_checkpoint(first, 9, done=[3])])
    fake_clock.set(START + TTL)
    second = await claim_one(store, "b")
    await store.checkpoint("j1", [make_checkpoint(second, 0, done=[2])])
    (shard,) = await stored(store)
    assert [pieces for pieces, _ in shard.results] == [(0,), (3,), (2,)]


async def test_a_stale_checkpoint_changes_nothing_and_others_of_the_batch_do(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store, shards=2)
    stale, kept = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    await store.renew("a", [kept.shard_id], 3 * TTL)
    fake_clock.set(START + TTL)
    new = await claim_one(store, "b")
    assert new.shard_id == stale.shard_id
    refused = make_checkpoint(
        stale, 9, done=[0], dead={1: make_dead(1)}, cost=5, reserved=5, finished=True
    )
    batch = [refused, make_checkpoint(kept, 1, done=[2], cost=7)]
    assert await store.checkpoint("j1", batch) == {stale.shard_id}
    tally = await store.tally("j1")
    assert (tally.pieces_done, tally.rows_failed, tally.usage.cost_picousd) == (1, 0, 7)
    assert [shard.results for shard in await stored(store)] == [(), (((2,), b"2"),)]
    assert await store.renew("b", [new.shard_id], TTL) == {new.shard_id}
    assert await store.checkpoint("j1", [make_checkpoint(new, 0, done=[0])]) == set()


async def test_the_fence_and_not_the_expiry_decides_who_may_write(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    fake_clock.set(START + 9 * TTL)
    assert await store.checkpoint("j1", [make_checkpoint(lease, done=[0])]) == set()
    assert (await store.tally("j1")).pieces_done == 1


async def test_a_checkpoint_sent_twice_counts_once(store: Store) -> None:
    await open_planned(store, budget=100)
    lease = await claim_one(store)
    sent = make_checkpoint(
        lease, 1, done=[0], dead={1: make_dead(1)}, cost=20, doubt=10, reserved=30
    )
    assert await store.checkpoint("j1", [sent]) == set()
    once = (await store.tally("j1"), await stored(store))
    assert await store.checkpoint("j1", [sent, sent]) == set()
    assert (await store.tally("j1"), await stored(store)) == once
    both = make_checkpoint(lease, 2, done=[2], cost=1, reserved=69, sent=2)
    assert await store.checkpoint("j1", [both, both]) == set()  # 31 + 69: each counted once
    assert (await store.tally("j1")).pieces_done == 2


async def test_a_checkpoint_of_an_unknown_shard_or_job_is_stale(store: Store) -> None:
    await open_planned(store)
    await store.open_job(make_job("k1", fingerprint="g"), fresh=False)
    lease = await claim_one(store)
    checkpoint = make_checkpoint(lease, done=[0])
    assert await store.checkpoint("k1", [checkpoint]) == {lease.shard_id}
    assert await store.checkpoint("no", [checkpoint]) == {lease.shard_id}
    unknown = make_checkpoint(replace(lease, shard_id=10**9))
    assert await store.checkpoint("j1", [unknown]) == {10**9}
    assert await store.checkpoint("j1", []) == set()
    assert (await store.tally("j1")).pieces_done == 0


async def test_large_and_odd_events_survive(store: Store) -> None:
    await open_planned(store, rows=5_000)
    lease = await claim_one(store)
    done = (4, 2, 3, *range(7, 4_000), 0, 1, 6, 5, 4_999)
    event = ShardEvent(
        fence=1,
        done=done,
        attempts={4_500: 3, 4_501: 1},
        cuts=tuple(range(4_400, 4_600, 2)),
        doubts={4_500: (1, 2, 3, 2**40), 4_600: (0, 0, 0, 0)},
    )
    odd = make_dead(4_998, code="x")
    odd = DeadLetter(
        row=odd.row, chunk=3, id=2**70, code="x", message="\ud800\0'\"", attempts=0, final=False
    )
    second = make_checkpoint(lease, 2, dead={4_998: odd}, released=True)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=done, event=event), second])
    again = await claim_one(store)
    assert again.events == (event, second.event)
    (letter,) = [letter async for letter in store.dead_letters("j1")]
    assert (letter.id, letter.chunk, letter.row) == (2**70, 3, 4_998)


async def test_bills_are_kept_whatever_becomes_of_the_results(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint(
        "j1",
        [
            replace(make_checkpoint(lease, 1, dead={1: make_dead(1)}), bills=b"one"),
            replace(make_checkpoint(lease, 2, done=[0]), bills=b"two"),
            make_checkpoint(lease, 3, done=[2]),
            replace(make_checkpoint(lease, 4), bills=b"three", released=True),
        ],
    )
    await store.reopen_dead("j1")
    (shard,) = await stored(store)
    assert shard.bills == (b"one", b"two", b"three")
    again = await claim_one(store)
    await store.checkpoint("j1", [replace(make_checkpoint(again, 5, done=[1]), bills=b"four")])
    stale = replace(make_checkpoint(lease, 9, done=[3]), bills=b"five")
    assert await store.checkpoint("j1", [stale]) == {lease.shard_id}
    (shard,) = await stored(store)
    assert shard.bills == (b"one", b"two", b"three", b"four")


async def test_all_that_usage_says_adds_up(store: Store) -> None:
    await open_planned(store, shards=2)
    leases = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    usage = Usage(
        requests=1, prompt_tokens=2**40, completion_tokens=3, cost_picousd=2**50, cached_tokens=5,
        written_tokens=2**40, reasoning_tokens=7, unstated=1, stated_picousd=2**50,
    )  # fmt: skip
    batch = [replace(make_checkpoint(lease, 1), usage=usage) for lease in leases]
    await store.checkpoint("j1", batch)
    await store.checkpoint("j1", [replace(make_checkpoint(leases[0], 2), usage=usage)])
    assert (await store.tally("j1")).usage == usage + usage + usage


async def test_what_turns_out_not_to_be_billed_is_taken_off_again(store: Store) -> None:
    """And its money may be spent on something else."""
    await open_planned(store)
    await store.set_budget("j1", 100)
    lease = await claim_one(store)
    doubt = Doubt(requests=1, pieces=2, tokens=3, cost_picousd=90)
    await store.checkpoint("j1", [replace(make_checkpoint(lease, 0), doubt=doubt)])
    asking = make_checkpoint(lease, 1, sent=2, reserved=50)
    with pytest.raises(BudgetShort):
        await store.checkpoint("j1", [asking])
    proof = Doubt(
        requests=-1,
        pieces=-2,
        tokens=-3,
        cost_picousd=-90,
        kept_requests=1,
        kept_pieces=2,
        kept_tokens=2**40,
    )
    await store.checkpoint("j1", [replace(make_checkpoint(lease, 2), doubt=proof)])
    await store.checkpoint("j1", [replace(asking, seq=3)])
    tally = await store.tally("j1")
    assert tally.doubt == Doubt(kept_requests=1, kept_pieces=2, kept_tokens=2**40)


async def test_an_id_keeps_its_type(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    ids: dict[int, RowId] = {0: "1", 1: 1, 2: 1.5, 3: True}
    dead = {piece: replace(make_dead(piece), id=id_) for piece, id_ in ids.items()}
    await store.checkpoint("j1", [make_checkpoint(lease, dead=dead)])
    read = [letter.id async for letter in store.dead_letters("j1")]
    assert [(type(id_), id_) for id_ in read] == [(type(id_), id_) for id_ in ids.values()]


async def test_dead_letters_come_by_row_and_chunk(store: Store) -> None:
    await open_planned(store, rows=3_000)
    lease = await claim_one(store)
    dead = {row: make_dead(row // 2, chunk=row % 2) for row in reversed(range(3_000))}
    await store.checkpoint("j1", [make_checkpoint(lease, dead=dead)])
    read = [letter async for letter in store.dead_letters("j1")]
    assert read == list(reversed(dead.values()))


async def test_dead_letters_are_counted_by_code_and_by_whether_a_retry_may_help(
    store: Store,
) -> None:
    await open_planned(store, rows=9)
    assert await store.failures("j1") == []
    lease = await claim_one(store)
    codes = ["b", "a", "a", "c", "a"]
    dead = {row: make_dead(row, code=code) for row, code in enumerate(codes)}
    dead[5] = make_dead(5, code="a", final=True)
    await store.checkpoint("j1", [make_checkpoint(lease, dead=dead)])
    assert await store.failures("j1") == [
        FailureCount(code="a", final=False, dead_letters=3),
        FailureCount(code="a", final=True, dead_letters=1),
        FailureCount(code="b", final=False, dead_letters=1),
        FailureCount(code="c", final=False, dead_letters=1),
    ]


async def test_dead_letters_of_some_codes_are_reopened(store: Store) -> None:
    await open_planned(store, rows=4)
    lease = await claim_one(store)
    dead = {row: make_dead(row, code=code) for row, code in enumerate("abcb")}
    await store.checkpoint("j1", [make_checkpoint(lease, dead=dead, finished=True)])
    assert await store.reopen_dead("j1", codes=["b", "x"]) == 2
    assert [letter.code async for letter in store.dead_letters("j1")] == ["a", "c"]
    assert (await claim_one(store)).events[-1].reopened == (1, 3)
    assert await store.reopen_dead("j1", codes=["x"]) == 0
    assert await store.reopen_dead("j1") == 2


async def test_dead_letters_of_several_jobs_are_counted_at_once(store: Store) -> None:
    for job_id in ("j1", "j2", "j3"):
        await open_planned(store, job_id=job_id, fingerprint=job_id, rows=9)
    for job_id, codes in {"j1": "aab", "j3": "b"}.items():
        lease = await claim_one(store, job_id=job_id)
        dead = {row: make_dead(row, code=code) for row, code in enumerate(codes)}
        await store.checkpoint(job_id, [make_checkpoint(lease, dead=dead)])
    counted = await store.failures_of(["j1", "j2", "j3", "nobody's"])
    assert {
        job_id: [(one.code, one.dead_letters) for one in of] for job_id, of in counted.items()
    } == {
        "j1": [("a", 2), ("b", 1)],
        "j3": [("b", 1)],
    }
    assert await store.failures("j3") == counted["j3"]
    assert await store.failures_of([]) == {}


# --- retries ----------------------------------------------------------------------------------


async def test_a_retry_reopens_what_may_be_done_after_all(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    empty = make_dead(3, code="empty_input", final=True)
    planned = make_dead(2, code="too_long")
    shard = make_shard(dead=[empty, planned])
    await store.add_shard("j1", fence, shard, next_row=4, planned=False)
    await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    gone = make_dead(1, final=True)
    letters = {1: gone, 0: make_dead(0)}
    await store.checkpoint(
        "j1",
        [
            make_checkpoint(one, 1, dead=letters, sent=2, finished=True),
            make_checkpoint(two, 1, done=range(4), sent=2, finished=True),
        ],
    )
    assert await store.complete("j1")
    await store.move("j1", JobEvent.RETRY)
    assert await store.reopen_dead("j1") == 1
    assert [letter async for letter in store.dead_letters("j1")] == [gone, planned, empty]
    assert not await store.complete("j1")
    (lease,) = await store.claim("j1", "b", limit=9, ttl_seconds=TTL)
    assert (lease.shard_id, lease.fence) == (one.shard_id, 3)
    assert lease.events[-1] == ShardEvent(fence=2, reopened=(0,))
    assert (lease.sent_fence, lease.sent_through) == (1, 0)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=[0], finished=True)])
    assert await store.complete("j1")
    assert [shard.results for shard in await stored(store)] == [
        (((0,), b"0"),),
        (((0, 1, 2, 3), b"0,1,2,3"),),
    ]
    assert await store.reopen_dead("j1") == 0
    assert await store.complete("j1")


async def test_a_retry_ends_a_lease_of_the_shard(store: Store) -> None:
    await open_planned(store, shards=2)
    hit, spared = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    await store.checkpoint("j1", [make_checkpoint(hit, 1, dead={0: make_dead(0)}, sent=4)])
    assert await store.reopen_dead("j1") == 1
    late = [make_checkpoint(hit, 2, done=[1]), make_checkpoint(spared, 1, done=[1])]
    assert await store.checkpoint("j1", late) == {hit.shard_id}
    assert await store.renew("a", [hit.shard_id, spared.shard_id], TTL) == {spared.shard_id}
    (again,) = await store.claim("j1", "b", limit=9, ttl_seconds=TTL)
    assert (again.fence, again.sent_fence, again.sent_through) == (3, 1, 4)


async def test_a_job_that_was_completed_before_its_shards_were_reopened_is_open(
    store: Store,
) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, dead={0: make_dead(0)}, finished=True)])
    await store.move("j1", JobEvent.RETRY)
    assert await store.complete("j1")
    assert await store.reopen_dead("j1") == 1
    job = await store.job("j1")
    assert (job.state, job.finished_at) == (JobState.OPEN, None)
    assert len(await store.claim("j1", "b", limit=1, ttl_seconds=TTL)) == 1


async def test_a_letter_may_die_again(store: Store) -> None:
    await open_planned(store)
    for fence in (1, 3, 5):
        lease = await claim_one(store)
        assert lease.fence == fence
        await store.checkpoint(
            "j1", [make_checkpoint(lease, dead={0: make_dead(0)}, finished=True)]
        )
        assert await store.reopen_dead("j1") == 1
    assert (await store.tally("j1")).rows_failed == 0


async def test_usage_without_results_counts(store: Store) -> None:
    await open_planned(store)
    lease: Lease = await claim_one(store)
    repair = replace(
        make_checkpoint(lease), usage=Usage(requests=1, prompt_tokens=9, cost_picousd=3)
    )
    await store.checkpoint("j1", [repair])
    assert (await store.tally("j1")).usage == repair.usage
