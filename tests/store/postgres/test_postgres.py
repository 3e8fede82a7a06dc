"""Postgres itself: connections that are cut, a server that goes away, and what errors say."""

from __future__ import annotations

import asyncio
import time
import traceback
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from batcher.adapters.store import migrate, open_store
from batcher.adapters.store.postgres import database as postgres
from batcher.adapters.store.postgres.address import PostgresAddress
from batcher.adapters.system.clock import SystemClock
from batcher.core.errors import StoreError, UnusableStore, UsageError
from batcher.core.model import JobEvent, JobState
from tests.servers.postgres import PASSWORD, PostgresServer
from tests.servers.proxy import Cut, Proxy, proxy
from tests.store.making import (
    TTL,
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    make_shard,
    open_planned,
)
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from batcher.ports import Store

pytestmark = pytest.mark.process


@pytest.fixture(scope="session")
def template(postgres: PostgresServer) -> str:
    """A database with the newest schema and nothing in it."""
    name = postgres.database()
    migrate.upgrade(postgres.url(name))
    return name


@pytest.fixture
def database(postgres: PostgresServer, template: str) -> str:
    return postgres.database(template)


@pytest.fixture
async def store(postgres: PostgresServer, database: str) -> AsyncIterator[Store]:
    opened = await open_store(postgres.url(database), SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def between(postgres: PostgresServer) -> AsyncIterator[Proxy]:
    async with proxy(postgres.port) as running:
        yield running


@pytest.fixture
async def remote(postgres: PostgresServer, database: str, between: Proxy) -> AsyncIterator[Store]:
    """A store whose connections a test may cut."""
    opened = await open_store(postgres.url(database, port=between.port), SystemClock())
    yield opened
    await opened.close()


# --- connections that are lost ----------------------------------------------------------------


@pytest.mark.parametrize("when", Cut)
async def test_a_checkpoint_whose_connection_is_lost_counts_once(
    remote: Store, between: Proxy, when: Cut
) -> None:
    await open_planned(remote, budget=100)
    lease = await claim_one(remote)
    between.cut(when)
    checkpoint = make_checkpoint(
        lease, 1, done=[0], dead={1: make_dead(1)}, cost=20, doubt=10, reserved=70
    )
    assert await remote.checkpoint("j1", [checkpoint]) == set()
    assert between.cuts == 1
    tally = await remote.tally("j1")
    assert (tally.pieces_done, tally.rows_failed, tally.usage.cost_picousd) == (1, 1, 20)
    more = make_checkpoint(lease, 2, reserved=70, sent=2)
    assert await remote.checkpoint("j1", [more]) == set()  # 30 + 70: what was reserved once


@pytest.mark.parametrize("when", Cut)
async def test_a_claim_whose_connection_is_lost_leaves_no_shard_behind(
    remote: Store, between: Proxy, when: Cut
) -> None:
    await open_planned(remote, shards=3)
    between.cut(when)
    first = await remote.claim("j1", "a", limit=2, ttl_seconds=TTL)
    rest = await remote.claim("j1", "b", limit=9, ttl_seconds=TTL)
    assert between.cuts == 1
    assert [lease.ordinal for lease in first] == [0, 1]
    assert [lease.ordinal for lease in rest] == [2]
    for lease in first:
        assert await remote.checkpoint("j1", [make_checkpoint(lease, done=[0])]) == set()


@pytest.mark.parametrize("when", Cut)
async def test_a_plan_whose_connection_is_lost_goes_on(
    remote: Store, between: Proxy, when: Cut
) -> None:
    await remote.open_job(make_job(), fresh=False)
    fence = await remote.lease_plan("j1", "planner", TTL)
    assert fence is not None
    for ordinal in range(3):
        between.cut(when)
        assert await remote.add_shard(
            "j1", fence, make_shard(ordinal), next_row=4 * ordinal + 4, planned=ordinal == 2
        )
    assert between.cuts == 3
    assert (await remote.tally("j1")).rows_planned == 12
    assert (await remote.job("j1")).planned


@pytest.mark.parametrize("when", Cut)
@pytest.mark.parametrize("fresh", [True, False])
async def test_a_job_whose_connection_is_lost_is_opened_once(
    remote: Store, between: Proxy, when: Cut, fresh: bool
) -> None:
    between.cut(when)
    job, made = await remote.open_job(make_job(), fresh=fresh)
    assert (job.generation, made, between.cuts) == (1, True, 1)
    assert await remote.jobs() == [job]


@pytest.mark.parametrize("when", Cut)
async def test_a_move_whose_connection_is_lost_is_made(
    remote: Store, between: Proxy, when: Cut
) -> None:
    await remote.open_job(make_job(), fresh=False)
    between.cut(when)
    job = await remote.move("j1", JobEvent.CANCEL, reason="why")
    assert (job.state, job.reason, between.cuts) == (JobState.CANCELLED, "why", 1)
    assert await remote.job("j1") == job


@pytest.mark.parametrize("when", Cut)
async def test_a_retry_whose_connection_is_lost_says_how_many_it_reopened(
    remote: Store, between: Proxy, when: Cut
) -> None:
    await open_planned(remote)
    lease = await claim_one(remote)
    dead = {0: make_dead(0), 1: make_dead(1)}
    await remote.checkpoint("j1", [make_checkpoint(lease, dead=dead, finished=True)])
    between.cut(when)
    assert await remote.reopen_dead("j1") == 2
    assert between.cuts == 1
    assert (await claim_one(remote)).fence == lease.fence + 2


async def test_idle_connections_that_were_lost_are_made_anew(remote: Store, between: Proxy) -> None:
    await open_planned(remote)
    await asyncio.gather(*(remote.tally("j1") for _ in range(6)))
    between.cut_all()
    assert (await remote.tally("j1")).pieces == 4
    await remote.move("j1", JobEvent.PAUSE)


# --- a server that goes away ------------------------------------------------------------------


@pytest.mark.parametrize("killed", [False, True])
async def test_work_waits_for_a_server_that_comes_back(
    postgres: PostgresServer, store: Store, killed: bool
) -> None:
    await open_planned(store, shards=2)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=[0])])
    await asyncio.to_thread(postgres.kill if killed else postgres.stop)
    try:
        waiting = [
            asyncio.create_task(store.checkpoint("j1", [make_checkpoint(lease, 2, done=[1])])),
            asyncio.create_task(store.tally("j1")),
        ]
        done, _ = await asyncio.wait(waiting, timeout=0.5)
        assert not done
    finally:
        await asyncio.to_thread(postgres.start)
    assert await waiting[0] == set()
    await waiting[1]
    assert (await store.tally("j1")).pieces_done == 2
    assert await store.renew("a", [lease.shard_id], TTL) == {lease.shard_id}


async def test_a_server_that_stays_away_is_said(postgres: PostgresServer, database: str) -> None:
    store = await open_store(postgres.url(database), SystemClock(), patience_seconds=0.3)
    await asyncio.to_thread(postgres.stop)
    try:
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"the server is away: .*refused.*run again") as said:
            await store.tally("j1")
        assert time.monotonic() - began >= 0.3
        assert not isinstance(said.value, UnusableStore)
        with pytest.raises(UnusableStore, match=r"cannot be used: .*refused"):
            await open_store(postgres.url(database), SystemClock())
    finally:
        await asyncio.to_thread(postgres.start)
        await store.close()


# --- locks ------------------------------------------------------------------------------------


async def test_a_lock_that_is_held_for_too_long_is_said(
    postgres: PostgresServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = postgres_session().replace("'30s'", "'50ms'")
    monkeypatch.setattr("batcher.adapters.store.postgres.database._SESSION", short)
    store = await open_store(postgres.url(database), SystemClock(), patience_seconds=0.2)
    await open_planned(store)
    lease = await claim_one(store)
    with closing(postgres.connect(database)) as other, other.transaction():
        other.execute("UPDATE shard SET rows_done = rows_done")
        with pytest.raises(StoreError, match=r"another session holds it for too long.*55P03"):
            await store.checkpoint("j1", [make_checkpoint(lease, done=[0])])
    assert await store.checkpoint("j1", [make_checkpoint(lease, done=[0])]) == set()
    await store.close()


def postgres_session() -> str:
    return postgres._SESSION


async def test_a_session_does_not_depend_on_the_defaults_of_the_server(
    database: str, postgres: PostgresServer
) -> None:
    for setting in (
        "synchronous_commit = off",
        "default_transaction_isolation = 'serializable'",
        "idle_in_transaction_session_timeout = 0",
        "client_encoding = LATIN1",
    ):
        name = sql.Identifier(database)
        postgres.execute(sql.SQL("ALTER DATABASE {} SET " + setting).format(name))
    store = await open_store(postgres.url(database), SystemClock())
    write = store._database.write  # type: ignore[attr-defined]
    asked = "SELECT current_setting('{}')"
    found = [
        await write(lambda c, name=name: c.exec_driver_sql(asked.format(name)).scalar())
        for name in (
            "synchronous_commit",
            "transaction_isolation",
            "idle_in_transaction_session_timeout",
            "client_encoding",
        )
    ]
    assert found == ["on", "read committed", "1min", "UTF8"]
    await store.close()


async def test_a_stronger_promise_of_the_server_is_kept(
    database: str, postgres: PostgresServer
) -> None:
    stronger = "ALTER DATABASE {} SET synchronous_commit = remote_apply"
    postgres.execute(sql.SQL(stronger).format(sql.Identifier(database)))
    store = await open_store(postgres.url(database), SystemClock())
    asked = "SELECT current_setting('synchronous_commit')"
    write = store._database.write  # type: ignore[attr-defined]
    assert await write(lambda c: c.exec_driver_sql(asked).scalar()) == "remote_apply"
    await store.close()


async def test_a_deadlock_is_tried_again(
    store: Store, database: str, postgres: PostgresServer
) -> None:
    await open_planned(store, shards=2)
    one, two = await store.claim("j1", "a", limit=2, ttl_seconds=TTL)
    with closing(postgres.connect(database)) as other:
        other.execute("SET deadlock_timeout = '10s'")  # let it be the store that is refused
        with other.transaction():
            other.execute("UPDATE shard SET rows_done = rows_done WHERE id = %s", [two.shard_id])
            both = [make_checkpoint(one, done=[0]), make_checkpoint(two, done=[0])]
            waiting = asyncio.create_task(store.checkpoint("j1", both))
            await until_somebody_waits(postgres, database)
            locked = "UPDATE shard SET rows_done = rows_done WHERE id = %s"
            await asyncio.to_thread(other.execute, locked, [one.shard_id])
        assert await waiting == set()
    assert (await store.tally("j1")).pieces_done == 2


async def until_somebody_waits(postgres: PostgresServer, database: str) -> None:
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    with closing(postgres.connect()) as control:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while control.execute(sql.SQL(waits), [database]).fetchone() == (0,):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)


# --- reading ----------------------------------------------------------------------------------


async def test_a_read_sees_one_moment_and_writes_nothing(
    store: Store, database: str, postgres: PostgresServer
) -> None:
    await open_planned(store)
    reader = store._database  # type: ignore[attr-defined]
    count = "SELECT count(*) FROM shard"

    def work(connection: object) -> tuple[object, object]:
        with closing(postgres.connect(database)) as other:
            before = connection.exec_driver_sql(count).scalar()  # type: ignore[attr-defined]
            for table in ("shard_payload", "shard_prompts", "shard_hashes"):
                other.execute(f"DELETE FROM {table}")
            other.execute("DELETE FROM shard")
        return before, connection.exec_driver_sql(count).scalar()  # type: ignore[attr-defined]

    assert await reader.read(work) == (1, 1)
    asked = "SELECT current_setting('transaction_read_only')"
    assert await reader.read(lambda c: c.exec_driver_sql(asked).scalar()) == "on"


async def test_an_export_holds_no_transaction_between_two_shards(
    store: Store, database: str, postgres: PostgresServer
) -> None:
    await open_planned(store, shards=5)
    seen = 0
    with closing(postgres.connect(database)) as other:
        async for _ in store.shards("j1"):
            held = other.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state <> 'idle' AND pid <> pg_backend_pid()"
            )
            assert held.fetchone() == (0,)
            seen += 1
    assert seen == 5


# --- what is said -----------------------------------------------------------------------------


async def test_no_error_quotes_what_was_to_be_written(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    secret = replace(make_dead(1, code="sk-secret"), id="sk-secret")
    failing: list[Callable[[], Awaitable[object]]] = [
        lambda: store.checkpoint("j1", [make_checkpoint(lease, dead={1: secret, 2: secret})]),
        lambda: store.checkpoint("j1", [make_checkpoint(lease, cost=2**70)]),
        lambda: store.set_budget("j1", 2**70),
        lambda: store.open_job(make_job("j1", fingerprint="sk-secret"), fresh=False),
    ]
    for verb in failing:
        with pytest.raises(StoreError) as caught:
            await verb()
        said = "".join(traceback.format_exception(caught.value))
        assert "sk-secret" not in said.replace('"sk-secret"', "")
        assert str(2**70) not in said
        assert PASSWORD not in said
    assert (await store.tally("j1")).rows_failed == 0


async def test_no_error_quotes_the_password(
    postgres: PostgresServer, database: str, store: Store
) -> None:
    url = postgres.url(database)
    assert repr(store) == f"SqlStore({url.replace(f':{PASSWORD}', '')})"
    assert PASSWORD not in repr(PostgresAddress.parse(url))
    for wrong in (
        url.replace("batcher:", "nobody:"),
        f"{url}x",
        f"{url}?connect_timeout={PASSWORD}",
        f"{url}?{PASSWORD}=1",
        url.replace("@", "@@"),
        url.replace(PASSWORD, f"1/{PASSWORD}"),
        url.replace(PASSWORD, f"a@{PASSWORD}"),
        url.replace(PASSWORD, f"%zz{PASSWORD}"),
    ):
        with pytest.raises((UnusableStore, UsageError), match=r"database|--db") as caught:
            await open_store(wrong, SystemClock())
        shown = "".join(traceback.format_exception(caught.value))
        assert PASSWORD not in shown.replace(repr(wrong), ""), wrong


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_a_url_may_be_written_in_each_usual_way(
    postgres: PostgresServer, database: str, scheme: str
) -> None:
    store = await open_store(postgres.url(database, scheme=scheme), SystemClock())
    assert await store.jobs() == []
    await store.close()
