"""What every store promises of jobs (`batcher.ports.JobStore`)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from batcher.core.errors import IllegalTransition, UsageError
from batcher.core.job.filter import JobFilter
from batcher.core.model import Doubt, JobEvent, JobState, Learned, StopCause, Tally, Usage
from batcher.ports import BudgetShort
from tests.fakes import EPOCH_WALL, FakeClock
from tests.store.making import (
    claim_one,
    make_checkpoint,
    make_dead,
    make_description,
    make_job,
    make_shard,
    open_planned,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from batcher.ports import Store


async def test_a_job_comes_back_as_it_went_in(store: Store) -> None:
    job = replace(
        make_job(budget=10**18),
        cause=StopCause.REFUSED,
        reason="why",
        resume_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC),
        learned=Learned(
            renamed={"max_tokens": "max_completion_tokens"},
            dropped=frozenset({"dimensions", "encoding_format"}),
            dimension=1536,
        ),
    )
    opened, made = await store.open_job(job, fresh=False)
    assert made
    assert opened == replace(job, generation=1)
    assert await store.job(job.id) == opened


async def test_there_is_no_job_whose_id_is_no_text(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    with pytest.raises(UsageError, match="there is no job"):
        await store.job("\udcff")


async def test_a_spec_keeps_numbers_of_any_size_and_any_name(store: Store) -> None:
    params = {"seed": 10**40, "x": [Decimal("1e400"), Decimal("7" * 5000)], "y": 0.5}
    job = replace(
        make_job(),
        description=make_description(input="not utf-8: \udcff.csv", params=params),
        facts=replace(make_job().facts, columns=("", "a b", "é"), arrow_schema="AAAA"),
    )
    opened, _ = await store.open_job(job, fresh=False)
    assert (opened.description, opened.facts) == (job.description, job.facts)
    assert repr(await store.job(job.id)) == repr(opened)


async def test_the_newest_job_is_the_one_that_would_be_opened(store: Store) -> None:
    assert await store.newest("f", None) is None
    first, _ = await store.open_job(make_job("j1"), fresh=False)
    assert await store.newest("f", None) == first
    assert await store.newest("f", "nightly") == first
    assert await store.newest("g", None) is None
    named = replace(make_job("j2"), name="weekly")
    second, _ = await store.open_job(named, fresh=True)
    assert await store.newest("f", None) == second
    assert await store.newest("f", "nightly") == first
    await store.move(second.id, JobEvent.CANCEL)
    assert await store.newest("f", None) == first


async def test_times_come_back_in_utc(store: Store) -> None:
    east = datetime(2026, 1, 2, 3, tzinfo=UTC).astimezone()
    opened, _ = await store.open_job(replace(make_job(), resume_at=east), fresh=False)
    found = (await store.job(opened.id)).resume_at
    assert found == east
    assert found is not None
    assert found.utcoffset() == timedelta(0)


async def test_the_same_fingerprint_opens_the_same_job(store: Store) -> None:
    first, made = await store.open_job(make_job("j1"), fresh=False)
    again, made_again = await store.open_job(make_job("j2"), fresh=False)
    assert (made, made_again) == (True, False)
    assert again == first
    other, made_other = await store.open_job(make_job("j3", fingerprint="g"), fresh=False)
    assert made_other
    assert other.generation == 1


async def test_fresh_opens_a_new_generation_which_is_then_the_newest(store: Store) -> None:
    await store.open_job(make_job("j1"), fresh=False)
    second, made = await store.open_job(make_job("j2"), fresh=True)
    assert made
    assert second.generation == 2
    assert (await store.open_job(make_job("j3"), fresh=False))[0].id == "j2"


async def test_a_cancelled_job_is_not_resumed_and_keeps_its_generation(store: Store) -> None:
    await store.open_job(make_job("j1"), fresh=False)
    await store.open_job(make_job("j2"), fresh=True)
    await store.move("j2", JobEvent.CANCEL)
    assert (await store.open_job(make_job("j3"), fresh=False))[0].id == "j1"
    await store.move("j1", JobEvent.CANCEL)
    third, made = await store.open_job(make_job("j3"), fresh=False)
    assert made
    assert third.generation == 3


async def test_a_complete_job_is_found(store: Store) -> None:
    await open_planned(store)
    await finish(store)
    job, made = await store.open_job(make_job("j2"), fresh=False)
    assert (job.id, job.state, made) == ("j1", JobState.COMPLETE, False)


async def test_two_callers_at_once_get_the_same_job(store: Store) -> None:
    opened = await asyncio.gather(
        *(store.open_job(make_job(f"j{n}"), fresh=False) for n in range(8))
    )
    assert len({job.id for job, _ in opened}) == 1
    assert sum(made for _, made in opened) == 1


async def test_fresh_callers_at_once_get_a_generation_each(store: Store) -> None:
    opened = await asyncio.gather(
        *(store.open_job(make_job(f"j{n}"), fresh=True) for n in range(8))
    )
    assert sorted(job.generation for job, _ in opened) == list(range(1, 9))


async def test_a_job_is_found_by_a_unique_prefix(store: Store) -> None:
    await store.open_job(make_job("ab1", fingerprint="1"), fresh=False)
    await store.open_job(make_job("ab1c", fingerprint="2"), fresh=False)
    await store.open_job(make_job("Ab%", fingerprint="3"), fresh=False)
    assert (await store.job("ab1")).id == "ab1"  # an exact id beats a prefix
    assert (await store.job("ab1c")).id == "ab1c"
    assert (await store.job("A")).id == "Ab%"
    with pytest.raises(UsageError, match="several"):
        await store.job("ab")
    for unknown in ("", "b", "a%", "ab1cd", "AB"):
        with pytest.raises(UsageError, match="no job"):
            await store.job(unknown)


async def test_jobs_come_newest_first(store: Store) -> None:
    start = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
    for n in (1, 3, 2):
        job = make_job(f"j{n}", fingerprint=str(n))
        await store.open_job(replace(job, created_at=start + timedelta(seconds=n)), fresh=False)
    assert [job.id for job in await store.jobs()] == ["j3", "j2", "j1"]
    assert [job.id for job in await store.jobs(limit=2)] == ["j3", "j2"]


async def test_jobs_are_found_by_state_kind_and_name(store: Store) -> None:
    start = datetime.fromtimestamp(EPOCH_WALL, tz=UTC)
    for n, (kind, name) in enumerate([("embed", "a"), ("chat", "a"), ("embed", None)]):
        job = make_job(f"j{n}", fingerprint=str(n))
        job = replace(job, name=name, created_at=start + timedelta(seconds=n))
        await store.open_job(replace(job, description=make_description(kind=kind)), fresh=False)
    await store.move("j0", JobEvent.PAUSE)

    async def found(limit: int = 9, **wanted: Any) -> list[str]:
        return [job.id for job in await store.jobs(limit=limit, wanted=JobFilter(**wanted))]

    assert await found() == ["j2", "j1", "j0"]
    assert await found(kind="embed") == ["j2", "j0"]
    assert await found(limit=1, kind="embed") == ["j2"]
    assert await found(name="a") == ["j1", "j0"]
    assert await found(name="a", kind="embed") == ["j0"]
    assert await found(state=JobState.PAUSED) == ["j0"]
    assert await found(state=JobState.OPEN, kind="none") == []


async def test_the_output_is_kept_with_the_job(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    assert (await store.job("j1")).output is None
    await store.set_output("j1", "/out/ä.csv")
    assert (await store.job("j1")).output == "/out/ä.csv"
    with pytest.raises(UsageError):
        await store.set_output("no", "/out.csv")


@pytest.mark.parametrize("cause", StopCause)
async def test_a_move_replaces_the_state_and_why(store: Store, cause: StopCause) -> None:
    opened, _ = await store.open_job(make_job(), fresh=False)
    resume_at = datetime(2026, 1, 1, tzinfo=UTC)
    why: dict[str, Any] = {"cause": cause, "reason": "quota", "resume_at": resume_at}
    paused = await store.move("j1", JobEvent.PAUSE, **why)
    assert paused == replace(opened, state=JobState.PAUSED, **why)
    assert await store.job("j1") == paused
    assert await store.move("j1", JobEvent.RESUME) == opened


async def test_an_illegal_move_changes_nothing(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    cancelled = await store.move("j1", JobEvent.CANCEL)
    with pytest.raises(IllegalTransition):
        await store.move("j1", JobEvent.RESUME, reason="no")
    assert await store.job("j1") == cancelled


async def test_the_end_of_a_job_has_a_time_until_it_is_open_again(
    store: Store, fake_clock: FakeClock
) -> None:
    await open_planned(store)
    fake_clock.set(1_005.0)
    await finish(store)
    ended = datetime.fromtimestamp(EPOCH_WALL + 5, tz=UTC)
    assert (await store.job("j1")).finished_at == ended
    fake_clock.set(1_009.0)
    assert await store.complete("j1")
    assert (await store.job("j1")).finished_at == ended
    assert (await store.move("j1", JobEvent.RETRY)).finished_at is None
    assert (await store.move("j1", JobEvent.CANCEL)).finished_at is not None


async def test_a_job_completes_when_it_is_planned_and_no_shard_is_open(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    assert not await store.complete("j1")
    fence = await store.lease_plan("j1", "planner", 30)
    assert fence is not None
    await store.add_shard("j1", fence, make_shard(), next_row=4, planned=False)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, finished=True)])
    assert not await store.complete("j1")
    await store.add_shard("j1", fence, None, next_row=4, planned=True)
    assert await store.complete("j1")
    assert (await store.job("j1")).state is JobState.COMPLETE
    assert await store.complete("j1")


async def test_a_job_with_an_open_shard_is_not_complete(store: Store) -> None:
    await open_planned(store, shards=2)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, finished=True)])
    assert not await store.complete("j1")


@pytest.mark.parametrize("event", [JobEvent.PAUSE, JobEvent.CANCEL])
async def test_a_job_whose_state_forbids_it_does_not_complete(
    store: Store, event: JobEvent
) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    moved = await store.move("j1", event)
    await store.checkpoint("j1", [make_checkpoint(lease, finished=True)])
    assert not await store.complete("j1")
    assert (await store.job("j1")).state is moved.state


async def test_what_was_learned_is_replaced(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    learned = Learned(renamed={"a": "b"}, dropped=frozenset({"c"}), dimension=3)
    await store.learn("j1", learned)
    assert (await store.job("j1")).learned == learned
    await store.learn("j1", Learned())
    assert (await store.job("j1")).learned == Learned()


async def test_a_budget_counts_what_was_committed_before_it_was_set(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, cost=30, doubt=20, reserved=40)])
    await store.set_budget("j1", 100)
    assert (await store.job("j1")).budget_picousd == 100
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(lease, 2, reserved=51, sent=2)])
    assert short.value.available_picousd == 10
    await store.set_budget("j1", None)
    assert not await store.checkpoint("j1", [make_checkpoint(lease, 2, reserved=999, sent=2)])
    await store.set_budget("j1", 1_050)
    with pytest.raises(BudgetShort) as short:
        await store.checkpoint("j1", [make_checkpoint(lease, 3, reserved=1_001, sent=3)])
    assert short.value.available_picousd == 1


async def test_the_tally_sums_the_shards(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    assert await store.tally("j1") == Tally()
    fence = await store.lease_plan("j1", "planner", 30)
    assert fence is not None
    malformed = make_dead(1, code="malformed", final=True)
    await store.add_shard("j1", fence, make_shard(0, dead=[malformed]), next_row=4, planned=False)
    await store.add_shard("j1", fence, make_shard(1), next_row=8, planned=True)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=30)
    chunks = {1: make_dead(5, chunk=0), 2: make_dead(5, chunk=1)}
    await store.checkpoint(
        "j1",
        [
            make_checkpoint(one, 1, done=[0, 2, 3], cost=10**15, doubt=7),
            make_checkpoint(two, 1, done=[0], dead=chunks, cost=5),
            make_checkpoint(two, 2, done=[3], cost=6),
        ],
    )
    assert await store.tally("j1") == Tally(
        rows_planned=8,
        rows_done=5,
        rows_failed=2,
        pieces=8,
        pieces_done=5,
        usage=Usage(requests=5, prompt_tokens=10, completion_tokens=3, cost_picousd=10**15 + 11),
        doubt=Doubt(requests=1, pieces=2, tokens=3, cost_picousd=7),
    )


async def test_an_unknown_job_is_the_users_mistake(store: Store) -> None:
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: store.move("no", JobEvent.PAUSE),
        lambda: store.complete("no"),
        lambda: store.learn("no", Learned()),
        lambda: store.set_budget("no", 1),
        lambda: store.tally("no"),
        lambda: store.lease_plan("no", "a", 30),
        lambda: store.add_shard("no", 1, make_shard(), next_row=4, planned=True),
        lambda: store.claim("no", "a", limit=1, ttl_seconds=30),
        lambda: store.reclaim("no", except_owner="a"),
        lambda: store.reopen_dead("no"),
        lambda: anext(aiter(store.shards("no"))),
        lambda: anext(aiter(store.dead_letters("no"))),
    ]
    for verb in verbs:
        with pytest.raises(UsageError, match="no job 'no'"):
            await verb()


async def test_closing_twice_is_harmless(store: Store) -> None:
    await store.close()
    await store.close()


async def finish(store: Store) -> None:
    """Complete the one shard of j1, and j1."""
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=range(4), finished=True)])
    assert await store.complete("j1")


async def test_many_tallies_are_those_of_each(store: Store) -> None:
    for number in range(3):
        await open_planned(store, shards=2, job_id=f"j{number}", fingerprint=f"f{number}")
        lease = await claim_one(store, job_id=f"j{number}")
        dead = {3: make_dead(3)} if number else {}
        await store.checkpoint(
            f"j{number}", [make_checkpoint(lease, done=range(number), dead=dead, cost=number)]
        )
    await store.open_job(make_job("k1", fingerprint="g"), fresh=False)
    ids = ["j2", "j0", "k1", "j1"]
    assert await store.tallies([*ids, "no"]) == {id_: await store.tally(id_) for id_ in ids}
    assert await store.tallies([]) == {}


async def test_a_plan_s_tries_count_until_it_gets_further(
    store: Store, fake_clock: FakeClock
) -> None:
    await store.open_job(make_job(), fresh=False)

    async def tries() -> int:
        return (await store.job("j1")).plan_tries

    for number in range(1, 4):
        fence = await store.lease_plan("j1", f"owner-{number}", 30)
        assert await store.lease_plan("j1", f"owner-{number}", 30) == fence  # extended
        assert await store.lease_plan("j1", "another", 30) is None
        assert await tries() == number
        await store.lease_plan("j1", f"owner-{number}", 0)
    fence = await store.lease_plan("j1", "interrupted", 30)
    await store.lease_plan("j1", "interrupted", 0, unblamed=True)
    await store.lease_plan("j1", "interrupted", 0, unblamed=True)
    assert await tries() == 3
    fence = await store.lease_plan("j1", "crashed", 30)
    await fake_clock.advance(30)
    fence = await store.lease_plan("j1", "a", 30)
    assert await tries() == 5
    await store.move("j1", JobEvent.PAUSE)
    assert await tries() == 5
    await store.move("j1", JobEvent.RESUME)
    assert await tries() == 0
    assert fence is not None
    await store.lease_plan("j1", "a", 0)
    fence = await store.lease_plan("j1", "b", 30)
    assert fence is not None
    assert await store.add_shard("j1", fence, make_shard(), next_row=4, planned=False)
    assert await tries() == 0
