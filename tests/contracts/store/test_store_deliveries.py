"""What every store promises of deliveries (`batcher.ports.DeliveryStore`)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.delivery import pause_seconds
from batcher.core.model import JobEvent, JobState
from batcher.ports import DeliveryLease, DeliveryState
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import (
    TTL,
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    make_shard,
    open_planned,
)

if TYPE_CHECKING:
    from batcher.ports import Store

START = 1_000.0
NOW = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
TARGET = {"output": "/data/out.csv", "format": None, "overwrite": False}
OTHER = {**TARGET, "output": "/data/ä.csv"}


async def completed(store: Store, job_id: str = "j1", *, target: object = TARGET) -> None:
    """A job of one shard that is complete, to be delivered."""
    await store.open_job(make_job(job_id, fingerprint=job_id), fresh=False)
    if target is not None:
        await store.set_delivery(job_id, TARGET)
    fence = await store.lease_plan(job_id, "planner", TTL)
    assert fence is not None
    await store.add_shard(job_id, fence, make_shard(), next_row=4, planned=True)
    (lease,) = await store.claim(job_id, "a", limit=1, ttl_seconds=TTL)
    checkpoint = make_checkpoint(lease, done=[0, 1, 2], dead={3: make_dead(3)}, finished=True)
    await store.checkpoint(job_id, [checkpoint])
    assert await store.complete(job_id)


async def claimed(store: Store, owner: str = "a", job_id: str = "j1") -> DeliveryLease:
    lease = await store.claim_delivery(job_id, owner, TTL)
    assert lease is not None
    return lease


async def test_a_job_has_no_delivery_unless_one_is_set(store: Store) -> None:
    await completed(store, target=None)
    assert await store.delivery("j1") is None
    assert await store.due_deliveries() == []
    assert await store.claim_delivery("j1", "a", TTL) is None
    with pytest.raises(UsageError, match="no job 'j9'"):
        await store.set_delivery("j9", TARGET)


async def test_a_delivery_is_due_once_its_job_is_complete(store: Store) -> None:
    await open_planned(store, shards=1)
    await store.set_delivery("j1", TARGET)
    assert await store.delivery("j1") == DeliveryState(target=TARGET)
    assert await store.due_deliveries() == []
    assert await store.claim_delivery("j1", "a", TTL) is None
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=[0, 1, 2, 3], finished=True)])
    assert await store.due_deliveries() == []
    await store.complete("j1")
    assert await store.due_deliveries() == ["j1"]
    assert (await claimed(store)).target == TARGET


async def test_jobs_that_are_cancelled_or_paused_are_not_delivered(store: Store) -> None:
    for number, event in ((1, JobEvent.CANCEL), (2, JobEvent.PAUSE)):
        await store.open_job(make_job(f"j{number}", fingerprint=f"f{number}"), fresh=False)
        await store.set_delivery(f"j{number}", TARGET)
        await store.move(f"j{number}", event)
    assert await store.due_deliveries() == []


async def test_a_delivery_may_be_claimed_at_its_expiry_and_not_before(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    first = await claimed(store)
    assert (first.fence, first.attempts) == (1, 1)
    assert await store.due_deliveries() == []
    assert (await state_of(store)).leased
    fake_clock.set(START + TTL - 0.001)
    assert await store.claim_delivery("j1", "b", TTL) is None
    fake_clock.set(START + TTL)
    assert await store.due_deliveries() == ["j1"]
    assert not (await state_of(store)).leased
    second = await claimed(store, "b")
    assert (second.fence, second.attempts) == (2, 2)


async def state_of(store: Store, job_id: str = "j1") -> DeliveryState:
    state = await store.delivery(job_id)
    assert state is not None
    return state


async def test_one_whose_owners_die_again_and_again_is_left_alone_for_longer_and_longer(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    for attempt in range(1, 6):
        began = fake_clock.now()
        assert (await claimed(store, f"w{attempt}")).attempts == attempt
        free_again = began + TTL + pause_seconds(attempt - 1)
        fake_clock.set(free_again - 0.001)
        assert await store.claim_delivery("j1", "early", TTL) is None
        fake_clock.set(free_again)
    assert pause_seconds(4) > pause_seconds(3) > pause_seconds(1) > pause_seconds(0) == 0
    assert pause_seconds(100) == 3600


async def test_its_owner_has_it_longer_under_the_same_fence(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    await claimed(store)
    fake_clock.set(START + 20)
    again = await claimed(store)
    assert (again.fence, again.attempts) == (1, 1)
    fake_clock.set(START + TTL)
    assert await store.claim_delivery("j1", "b", TTL) is None


async def test_what_is_given_back_unblamed_is_no_attempt_and_free_at_once(store: Store) -> None:
    await completed(store)
    await claimed(store)
    assert await store.claim_delivery("j1", "b", 0, unblamed=True) is None
    given_back = await store.claim_delivery("j1", "a", 0, unblamed=True)
    assert given_back is not None
    assert (given_back.fence, given_back.attempts) == (1, 0)
    assert await store.due_deliveries() == ["j1"]
    next_one = await claimed(store, "b")
    assert (next_one.fence, next_one.attempts) == (2, 1)


async def test_what_is_delivered_is_due_no_more(store: Store, fake_clock: FakeClock) -> None:
    await completed(store)
    lease = await claimed(store)
    fake_clock.set(START + 5)
    files = ("/data/out.csv", "/data/out.csv.manifest.json", "/data/\ud800\0")
    assert await store.settle_delivery("j1", lease.fence, files=files)
    state = await state_of(store)
    assert state.files[:2] == files[:2]
    assert state.delivered_at == NOW + timedelta(seconds=5)
    assert (state.cause, state.leased, state.next_at) == (None, False, None)
    fake_clock.set(START + 9_999)
    assert await store.due_deliveries() == []
    assert await store.claim_delivery("j1", "b", TTL) is None
    await store.set_delivery("j1", TARGET)  # the same once more
    assert await state_of(store) == state


async def test_what_failed_says_why_and_may_be_tried_again_after_a_pause(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    for attempt in range(1, 4):
        lease = await claimed(store, f"w{attempt}")
        assert lease.attempts == attempt
        assert await store.settle_delivery("j1", lease.fence, cause="No room.\0", exit_code=2)
        state = await state_of(store)
        assert (state.attempts, state.cause, state.exit_code) == (attempt, "No room.", 2)
        assert state.failed
        assert await store.failing_deliveries() == 1
        free_again = fake_clock.now() + pause_seconds(attempt)
        assert state.next_at == NOW + timedelta(seconds=free_again - START)
        fake_clock.set(free_again - 0.001)
        assert await store.due_deliveries() == []
        assert await store.claim_delivery("j1", "b", TTL) is None
        fake_clock.set(free_again)
        assert await store.due_deliveries() == ["j1"]
    lease = await claimed(store)
    assert (await state_of(store)).cause == "No room."  # until it is known better
    assert not (await state_of(store)).failed
    await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    assert (await state_of(store)).cause is None
    assert await store.failing_deliveries() == 0


async def test_what_is_another_s_to_deliver_is_free_at_once_and_says_why_it_waits(
    store: Store,
) -> None:
    await completed(store)
    for owner in ("a", "b"):
        lease = await claimed(store, owner)
        assert lease.attempts == 1
        for _ in range(2):  # the second time nothing changes
            assert await store.settle_delivery(
                "j1", lease.fence, cause="I may not.", exit_code=2, elsewhere=True
            )
        state = await state_of(store)
        assert (state.cause, state.attempts, state.next_at) == ("I may not.", 0, None)
        assert not state.failed
        assert await store.due_deliveries() == ["j1"]
        assert await store.failing_deliveries() == 1
    lease = await claimed(store, "c")
    assert await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    assert (await state_of(store)).cause is None


async def test_one_that_failed_may_be_tried_at_once_when_it_is_set_again(store: Store) -> None:
    await completed(store)
    lease = await claimed(store)
    await store.settle_delivery("j1", lease.fence, cause="No room.")
    assert await store.due_deliveries() == []
    await store.set_delivery("j1", TARGET)
    assert await store.due_deliveries() == ["j1"]
    assert (await state_of(store)).cause is None


async def test_another_target_begins_anew_and_ends_what_is_under_way(store: Store) -> None:
    await completed(store)
    lease = await claimed(store)
    await store.advance_delivery("j1", lease.fence, cursor=3, records=3)
    await store.set_delivery("j1", OTHER)
    assert await state_of(store) == DeliveryState(target=OTHER)
    assert not await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    second = await claimed(store, "b")
    assert (second.target, second.cursor, second.attempts) == (OTHER, 0, 1)
    assert second.fence > lease.fence


async def test_a_stale_fence_settles_and_advances_nothing(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    first = await claimed(store)
    fake_clock.set(START + TTL)
    second = await claimed(store, "b")
    before = await state_of(store)
    assert not await store.advance_delivery("j1", first.fence, cursor=9, records=9)
    assert not await store.settle_delivery("j1", first.fence, files=["/data/out.csv"])
    assert not await store.settle_delivery("j1", first.fence, cause="No room.")
    assert await state_of(store) == before
    assert await store.settle_delivery("j1", second.fence, files=["/data/out.csv"])


async def test_an_attempt_settled_twice_alike_counts_once(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    lease = await claimed(store)
    assert not await store.settle_delivery("j2", 1, cause="No room.")
    assert await store.settle_delivery("j1", lease.fence, cause="No room.")
    state = await state_of(store)
    fake_clock.set(START + 1)
    assert await store.settle_delivery("j1", lease.fence, cause="No room.")
    assert not await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    assert await state_of(store) == state
    assert not await store.advance_delivery("j1", lease.fence, cursor=9, records=9)


async def test_the_next_attempt_begins_where_the_one_before_got_to(
    store: Store, fake_clock: FakeClock
) -> None:
    await completed(store)
    lease = await claimed(store)
    assert (lease.cursor, lease.records) == (0, 0)
    assert await store.advance_delivery("j1", lease.fence, cursor=2**40, records=3)
    fake_clock.set(START + TTL)
    second = await claimed(store, "b")
    assert (second.cursor, second.records) == (2**40, 3)
    await store.settle_delivery("j1", second.fence, cause="No room.")
    fake_clock.set(fake_clock.now() + 3600)
    assert (await claimed(store, "c")).cursor == 2**40


@pytest.mark.parametrize("again", ["move", "reopen"])
async def test_a_job_that_is_opened_again_is_delivered_again(
    store: Store, fake_clock: FakeClock, again: str
) -> None:
    await completed(store)
    lease = await claimed(store)
    await store.advance_delivery("j1", lease.fence, cursor=4, records=3)
    await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    if again == "move":
        await store.move("j1", JobEvent.RETRY)
    assert await store.reopen_dead("j1") == 1
    assert (await store.job("j1")).state is JobState.OPEN
    assert await state_of(store) == DeliveryState(target=TARGET)
    assert await store.due_deliveries() == []

    (shard,) = await store.claim("j1", "a", limit=1, ttl_seconds=TTL)
    fake_clock.set(START + 1)
    await store.checkpoint("j1", [make_checkpoint(shard, done=[3], finished=True)])
    await store.complete("j1")
    assert await store.due_deliveries() == ["j1"]
    assert not await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    assert (await claimed(store, "b")).cursor == 0


async def test_the_job_that_was_completed_first_comes_first(
    store: Store, fake_clock: FakeClock
) -> None:
    for number in (3, 1, 2):
        await completed(store, f"j{number}")
        fake_clock.set(fake_clock.now() + 1)
    assert await store.due_deliveries() == ["j3", "j1", "j2"]
    assert await store.due_deliveries(limit=2) == ["j3", "j1"]
    found = await store.deliveries(["j1", "j3", "j9"])
    assert found == dict.fromkeys(["j1", "j3"], DeliveryState(target=TARGET))


async def test_one_of_many_who_claim_at_once_gets_it(store: Store) -> None:
    await completed(store)
    claims = await asyncio.gather(
        *(store.claim_delivery("j1", f"w{number}", TTL) for number in range(6))
    )
    assert [lease.fence for lease in claims if lease is not None] == [1]


async def test_many_who_set_one_at_once_set_one(store: Store) -> None:
    await completed(store, target=None)
    await asyncio.gather(*(store.set_delivery("j1", TARGET) for _ in range(6)))
    assert await state_of(store) == DeliveryState(target=TARGET)


async def test_a_delivery_goes_with_its_job(store: Store) -> None:
    await completed(store)
    lease = await claimed(store)
    await store.purge("j1")
    assert await store.delivery("j1") is None
    assert not await store.settle_delivery("j1", lease.fence, files=["/data/out.csv"])
    assert not await store.advance_delivery("j1", lease.fence, cursor=1, records=1)
    assert await store.claim_delivery("j1", "a", TTL) is None
