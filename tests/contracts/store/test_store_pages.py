"""What every store promises of parts of what it has: pages of jobs, shards from a row on, ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.filter import JobFilter
from batcher.core.job.fingerprint import id_hashes
from batcher.core.model import JobEvent, JobState
from tests.store.making import (
    TTL,
    make_dead,
    make_description,
    make_job,
    make_shard,
    open_planned,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batcher.core.model import DeadLetter, Job
    from batcher.ports import Store

KINDS = ("embed", "chat")


async def fill(store: Store, jobs: int) -> list[Job]:
    """Jobs of two kinds, two of the same second, the newest first."""
    first = make_job()
    made = []
    for number in range(jobs):
        kind = KINDS[number % 2]
        job = replace(
            first,
            id=f"job{number:02}",
            fingerprint=f"f{number}",
            description=make_description(kind=kind),
            name=f"name{number % 3}",
            created_at=first.created_at + timedelta(seconds=number // 2),
        )
        made.append((await store.open_job(job, fresh=False))[0])
    return made[::-1]


async def pages(store: Store, limit: int, wanted: JobFilter) -> list[Sequence[Job]]:
    """All jobs that are wanted, page by page."""
    found: list[Sequence[Job]] = []
    after = None
    while page := await store.jobs(limit=limit, wanted=wanted, after=after):
        found.append(page)
        after = page[-1].id
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_of_jobs_are_the_whole_list_cut_in_pieces(store: Store, limit: int) -> None:
    everything = await fill(store, 7)
    found = await pages(store, limit, JobFilter())
    assert [job for page in found for job in page] == everything
    assert all(len(page) == limit for page in found[:-1])


async def test_a_page_has_only_jobs_that_are_wanted_by_every_filter(store: Store) -> None:
    everything = await fill(store, 12)
    await store.move(everything[3].id, JobEvent.CANCEL)
    middle = everything[6].created_at
    for wanted in (
        JobFilter(kind="chat"),
        JobFilter(since=middle),
        JobFilter(kind="embed", name="name1"),
        JobFilter(kind="chat", since=middle, state=JobState.OPEN),
        JobFilter(kind="nothing"),
    ):
        found = [job.id for page in await pages(store, 2, wanted) for job in page]
        expected = [job.id for job in await store.jobs() if wanted.takes(job)]
        assert found == expected
        assert (not expected) == (wanted.kind == "nothing")


async def test_there_is_no_page_after_a_job_that_is_not_there(store: Store) -> None:
    await fill(store, 2)
    with pytest.raises(UsageError, match="there is no job"):
        await store.jobs(after="gone")


@pytest.mark.parametrize(
    ("row", "first"), [(-1, 0), (0, 0), (3, 0), (4, 1), (11, 2), (12, 3), (19, 4), (20, 5), (99, 5)]
)
async def test_shards_are_read_from_the_one_that_has_a_row(
    store: Store, row: int, first: int
) -> None:
    await open_planned(store, shards=5)
    found = [shard.ordinal async for shard in store.shards("j1", from_row=row)]
    assert found == list(range(first, 5))


async def test_prompts_are_read_apart(store: Store) -> None:
    await open_planned(store, shards=2)
    assert [await store.prompts("j1", at) for at in range(3)] == [b"prompts 0", b"prompts 1", None]
    assert await store.prompts("j2", 0) is None


async def test_a_row_is_looked_for_where_the_hash_of_its_id_is(store: Store) -> None:
    await open_planned(store, shards=20)
    for row in (0, 5, 41, 79):
        assert row // 4 in await store.shards_with_id("j1", id_hashes([f"id-{row}"]))
    looked = [await store.shards_with_id("j1", id_hashes([f"other-{n}"])) for n in range(50)]
    assert sum(map(len, looked)) <= 1  # of a thousand: a hash has 32 bits
    assert await store.shards_with_id("j2", id_hashes(["id-0"])) == []


async def test_the_hashes_of_one_job_say_nothing_of_another(store: Store) -> None:
    await open_planned(store)
    await open_planned(store, job_id="j2", fingerprint="g", shards=3)
    assert await store.shards_with_id("j1", id_hashes(["id-9"])) == []
    await store.purge("j2")
    assert await store.shards_with_id("j1", id_hashes(["id-1"])) == [0]


async def test_dead_letters_follow_a_place(store: Store) -> None:
    await store.open_job(make_job(), fresh=False)
    fence = await store.lease_plan("j1", "planner", TTL)
    assert fence is not None
    dead = [make_dead(row, chunk=chunk, final=True) for row in (0, 2) for chunk in (0, 1)]
    shard = make_shard(dead=dead)
    assert await store.add_shard("j1", fence, shard, next_row=4, planned=True)

    async def after(row: int, chunk: int) -> list[DeadLetter]:
        return [letter async for letter in store.dead_letters("j1", after=(row, chunk))]

    assert [len(await after(*place)) for place in ((-1, 0), (0, 0), (0, 1), (1, 9), (2, 0))] == [
        4,
        3,
        2,
        2,
        1,
    ]
    assert await after(0, 0) == dead[1:]
