"""Many workers on one Postgres, each with connections of its own: fences, budgets, locks."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import migrate, open_store
from batcher.adapters.store.postgres import lock
from batcher.adapters.store.postgres.address import PostgresAddress
from batcher.adapters.store.postgres.lock import postgres_job_lock
from batcher.adapters.system.clock import SystemClock
from batcher.core.errors import JobInUse
from batcher.core.progress import replay
from batcher.ports import BudgetShort, Store
from tests.store.making import TTL, WORKER, make_checkpoint, make_job, make_shard, open_planned
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.process

WORKERS = 4
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> str:
    """A database with the newest schema and nothing in it."""
    name = postgres.database()
    migrate.upgrade(postgres.url(name))
    return name


@pytest.fixture
def url(postgres: PostgresServer, template: str) -> str:
    return postgres.url(postgres.database(template))


@pytest.fixture
async def stores(url: str) -> AsyncIterator[list[Store]]:
    """As many stores as workers, on one database."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(WORKERS):
            store = await open_store(url, SystemClock())
            stack.push_async_callback(store.close)
            opened.append(store)
        yield opened


def deadlocks(postgres: PostgresServer, url: str) -> object:
    with closing(postgres.connect(url.rpartition("/")[2])) as control:
        control.execute("SELECT pg_stat_force_next_flush()")
        asked = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return control.execute(asked).fetchone()


# --- jobs and shards --------------------------------------------------------------------------


async def test_many_who_open_the_same_job_at_once_get_one(stores: list[Store]) -> None:
    opened = await asyncio.gather(
        *(
            store.open_job(make_job(f"j{worker}x{n}"), fresh=False)
            for worker, store in enumerate(stores)
            for n in range(4)
        )
    )
    assert len({job.id for job, _ in opened}) == 1
    assert sum(made for _, made in opened) == 1
    assert len(await stores[0].jobs()) == 1


async def test_claimers_never_share_a_shard(stores: list[Store]) -> None:
    await open_planned(stores[0], shards=120)

    async def claim_all(worker: int) -> list[int]:
        claimed: list[int] = []
        while leases := await stores[worker].claim("j1", f"w{worker}", limit=3, ttl_seconds=TTL):
            assert [lease.ordinal for lease in leases] == sorted(lease.ordinal for lease in leases)
            claimed += [lease.shard_id for lease in leases]
        return claimed

    claimed = await asyncio.gather(*(claim_all(worker) for worker in range(WORKERS)))
    everything = [shard_id for some in claimed for shard_id in some]
    assert len(everything) == len(set(everything)) == 120


async def test_a_stale_fence_writes_nothing_however_many_take_each_others_shards(
    postgres: PostgresServer, url: str, stores: list[Store]
) -> None:
    """Leases expire the moment they are granted, so that every worker is robbed all the time."""
    shards, pieces = 6, 12
    await open_planned(stores[0], shards=shards, rows=pieces)
    accepted: list[tuple[int, int]] = []
    refused = 0

    async def work(worker: int) -> None:
        nonlocal refused
        store = stores[worker]
        while leases := await store.claim("j1", f"w{worker}", limit=2, ttl_seconds=0):
            for lease in leases:
                progress = replay(lease.events)
                missing = [piece for piece in range(pieces) if piece not in progress.done]
                for seq, piece in enumerate(missing):
                    last = piece == missing[-1]
                    checkpoint = make_checkpoint(lease, seq, done=[piece], cost=1, finished=last)
                    if await store.checkpoint("j1", [checkpoint]):
                        refused += 1
                        break
                    accepted.append((lease.shard_id, piece))

    await asyncio.gather(*(work(worker) for worker in range(WORKERS)))
    assert refused > 0
    assert len(accepted) == len(set(accepted)) == shards * pieces
    tally = await stores[0].tally("j1")
    assert (tally.pieces_done, tally.usage.cost_picousd) == (shards * pieces, shards * pieces)
    stored = [shard async for shard in stores[0].shards("j1")]
    done = [[piece for some, _ in shard.results for piece in some] for shard in stored]
    assert [sorted(some) for some in done] == [list(range(pieces))] * shards
    assert await stores[0].complete("j1")
    assert deadlocks(postgres, url) == (0,)


async def test_a_budget_is_never_overdrawn_by_workers_that_ask_at_once(
    postgres: PostgresServer, url: str, stores: list[Store]
) -> None:
    budget, price = 100, 7
    await open_planned(stores[0], shards=WORKERS * 2, budget=budget)
    spent = 0

    async def spend(worker: int) -> None:
        nonlocal spent
        store = stores[worker]
        leases = await store.claim("j1", f"w{worker}", limit=2, ttl_seconds=TTL)
        assert leases
        for round_ in range(30):
            reserve = [make_checkpoint(each, 2 * round_, reserved=price, sent=1) for each in leases]
            try:
                await store.checkpoint("j1", reserve)
            except BudgetShort:
                return
            settle = [make_checkpoint(each, 2 * round_ + 1, cost=price - 3) for each in leases]
            assert await store.checkpoint("j1", settle) == set()
            spent += len(leases) * (price - 3)
            assert await store.renew(f"w{worker}", [each.shard_id for each in leases], TTL)

    async def look() -> None:
        for _ in range(30):
            await stores[0].set_budget("j1", budget)
            await stores[1].lease_plan("j1", "planner", 0)
            await stores[2].complete("j1")

    await asyncio.gather(look(), *(spend(worker) for worker in range(WORKERS)))
    assert (await stores[0].tally("j1")).usage.cost_picousd == spent <= budget
    with closing(postgres.connect(url.rpartition("/")[2])) as control:
        sums = control.execute(
            "SELECT committed_picousd, (SELECT sum(cost_picousd + doubt_picousd + reserved_picousd)"
            " FROM shard) FROM job"
        ).fetchone()
    assert sums == (spent, spent)
    assert deadlocks(postgres, url) == (0,)


async def test_a_budget_that_is_set_while_work_goes_on_counts_all_of_it(
    stores: list[Store],
) -> None:
    await open_planned(stores[0], shards=3)

    leases = await stores[0].claim("j1", "a", limit=3, ttl_seconds=TTL)

    async def work(worker: int) -> None:
        for seq in range(60):
            checkpoint = make_checkpoint(leases[worker], seq, cost=1)
            assert await stores[worker].checkpoint("j1", [checkpoint]) == set()

    async def set_again() -> None:
        for n in range(30):
            await stores[3].set_budget("j1", None if n % 2 else 10_000)
        await stores[3].set_budget("j1", 10_000)

    await asyncio.gather(set_again(), *(work(worker) for worker in range(3)))
    await stores[0].reclaim("j1", except_owner="x")
    (lease,) = await stores[0].claim("j1", "x", limit=1, ttl_seconds=TTL)
    with pytest.raises(BudgetShort) as short:
        await stores[0].checkpoint("j1", [make_checkpoint(lease, 0, reserved=99_999)])
    assert short.value.available_picousd == 10_000 - 180


async def test_a_claim_waits_for_a_lock_where_there_is_nothing_else(
    postgres: PostgresServer, url: str, stores: list[Store]
) -> None:
    """Whoever sums up all shards, say, locks them, and gives them back as they were."""
    await open_planned(stores[0], shards=2)
    database = url.rpartition("/")[2]
    with closing(postgres.connect(database)) as other:
        with other.transaction():
            other.execute("SELECT 1 FROM shard WHERE ordinal = 0 FOR NO KEY UPDATE")
            (free,) = await stores[0].claim("j1", "a", limit=2, ttl_seconds=TTL)
            waiting = [
                asyncio.create_task(stores[n].claim("j1", f"w{n}", limit=2, ttl_seconds=TTL))
                for n in (1, 2)
            ]
            done, _ = await asyncio.wait(waiting, timeout=0.3)
            assert not done
        ordinals = [[lease.ordinal for lease in await each] for each in waiting]
    assert free.ordinal == 1
    assert sorted(ordinals) == [[], [0]]


async def test_workers_of_one_job_do_not_wait_for_each_others_results(
    postgres: PostgresServer, url: str, stores: list[Store]
) -> None:
    """One worker's transaction stands still before its end; the others' go on."""
    await open_planned(stores[0], shards=2, budget=1_000)
    one, two = await stores[0].claim("j1", "a", limit=2, ttl_seconds=TTL)
    with closing(postgres.connect(url.rpartition("/")[2])) as slow, slow.transaction():
        slow.execute("UPDATE shard SET rows_done = rows_done WHERE id = %s", [one.shard_id])
        answer = stores[1].checkpoint("j1", [make_checkpoint(two, done=[0], cost=1, reserved=9)])
        assert await asyncio.wait_for(answer, PATIENCE_SECONDS) == set()
        assert (
            await asyncio.wait_for(
                stores[2].claim("j1", "b", limit=2, ttl_seconds=TTL), PATIENCE_SECONDS
            )
            == []
        )
        assert not await asyncio.wait_for(stores[3].complete("j1"), PATIENCE_SECONDS)


async def test_processes_share_a_server(url: str, stores: list[Store]) -> None:
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, url, f"w{n}",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )
        for n in range(WORKERS)
    ]  # fmt: skip
    said = []
    for worker in workers:
        assert worker.stdout is not None
        said.append((await worker.stdout.readline()).decode().split())
    assert sorted(word for word, _ in said) == ["found"] * (WORKERS - 1) + ["made"]
    (job_id,) = {id_ for _, id_ in said}
    store = stores[0]
    fence = await store.lease_plan(job_id, "planner", TTL)
    assert fence is not None
    for ordinal in range(40):
        shard = make_shard(ordinal)
        next_row = ordinal * 4 + 4
        await store.add_shard(job_id, fence, shard, next_row=next_row, planned=ordinal == 39)
    await store.set_budget(job_id, 160)
    await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    assert [worker.returncode for worker in workers] == [0] * WORKERS
    tally = await store.tally(job_id)
    assert (tally.pieces, tally.pieces_done, tally.usage.cost_picousd) == (160, 160, 160)
    assert await store.complete(job_id)


# --- one run a job ----------------------------------------------------------------------------

HOLDER = """
import sys
from batcher.adapters.store.postgres.address import PostgresAddress
from batcher.adapters.store.postgres.lock import postgres_job_lock

with postgres_job_lock(PostgresAddress.parse(sys.argv[1]), "j1"):
    print("held", flush=True)
    sys.stdin.readline()
"""


async def hold(url: str) -> asyncio.subprocess.Process:
    """A process that holds the lock of j1."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert holder.stdout is not None
    assert await holder.stdout.readline() == b"held\n"
    return holder


async def test_a_second_run_refuses_and_names_the_process(url: str) -> None:
    address = PostgresAddress.parse(url)
    holder = await hold(url)
    with (
        pytest.raises(JobInUse, match=rf"by process \S+:{holder.pid}: wait"),
        postgres_job_lock(address, "j1"),
    ):
        pass
    with postgres_job_lock(address, "j2"):
        pass
    await holder.communicate(b"\n")
    with postgres_job_lock(address, "j1"):
        pass


async def test_who_obtains_the_lock_knows_that_the_former_run_is_dead(url: str) -> None:
    holder = await hold(url)
    holder.kill()
    await holder.communicate()
    with postgres_job_lock(PostgresAddress.parse(url), "j1"):
        pass


async def test_the_lock_is_taken_again_when_the_server_is_back(
    postgres: PostgresServer, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.02)
    address = PostgresAddress.parse(url)
    with postgres_job_lock(address, "j1"):
        await asyncio.to_thread(postgres.restart)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await asyncio.to_thread(is_free, address):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    assert is_free(address)


def is_free(address: PostgresAddress) -> bool:
    try:
        with postgres_job_lock(address, "j1"):
            return True
    except JobInUse:
        return False
