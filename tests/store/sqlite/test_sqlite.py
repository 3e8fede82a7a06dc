"""SQLite itself: two processes on one file, a disk that fails, a WAL that must not grow."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.store import open_store
from batcher.adapters.store.database import _REMEDIES, store_error
from batcher.adapters.store.sqlite import database as sqlite
from batcher.core.errors import BatcherError, StoreError
from batcher.core.model import Learned
from tests.fakes import FakeClock
from tests.store.making import (
    TTL,
    WORKER,
    claim_one,
    make_checkpoint,
    make_dead,
    make_job,
    make_shard,
    open_planned,
)
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batcher.ports import Checkpoint, Lease, Store


# --- concurrency ------------------------------------------------------------------------------


@pytest.mark.process
async def test_processes_share_a_file(path: Path) -> None:
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WORKER,
            str(path),
            f"w{n}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for n in range(3)
    ]
    said = []
    for worker in workers:
        assert worker.stdout is not None
        said.append((await worker.stdout.readline()).decode().split())
    assert sorted(word for word, _ in said) == ["found", "found", "made"]
    (job_id,) = {id_ for _, id_ in said}
    store = await open_store(str(path), FakeClock())
    fence = await store.lease_plan(job_id, "planner", TTL)
    assert fence is not None
    for ordinal in range(40):
        next_row = ordinal * 4 + 4
        shard = make_shard(ordinal)
        await store.add_shard(job_id, fence, shard, next_row=next_row, planned=ordinal == 39)
    await store.set_budget(job_id, 160)
    for worker in workers:
        await worker.communicate(b"go\n")
        assert worker.returncode == 0
    tally = await store.tally(job_id)
    assert (tally.pieces, tally.pieces_done, tally.usage.cost_picousd) == (160, 160, 160)
    assert await store.complete(job_id)
    await store.close()


async def test_two_engines_on_one_file_wait_for_each_other(store: Store, path: Path) -> None:
    other = await open_store(str(path), FakeClock())
    await open_planned(store, shards=30)
    leases = await store.claim("j1", "a", limit=30, ttl_seconds=TTL)

    async def work(through: Store, some: list[int]) -> None:
        for n in some:
            await through.checkpoint("j1", [make_checkpoint(leases[n], done=[0], finished=True)])
            assert await through.renew("a", [leases[n].shard_id], TTL) == set()

    await asyncio.gather(
        work(store, list(range(0, 30, 2))),
        work(other, list(range(1, 30, 2))),
        *(through.tally("j1") for through in (store, other) for _ in range(20)),
    )
    assert (await other.tally("j1")).pieces_done == 30
    await other.close()


async def test_reading_goes_on_while_another_process_writes(store: Store, path: Path) -> None:
    await open_planned(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        raw.execute("UPDATE shard SET rows_done = 99")
        assert (await store.tally("j1")).rows_done == 0
        raw.execute("COMMIT")
    assert (await store.tally("j1")).rows_done == 99


async def test_a_cancelled_checkpoint_is_whole_or_absent(store: Store) -> None:
    await open_planned(store, rows=200, budget=10**6)
    lease = await claim_one(store)
    for piece in range(100):
        dead = {piece + 100: make_dead(piece + 100)}
        checkpoint = make_checkpoint(lease, piece, done=[piece], dead=dead, cost=1)
        task = asyncio.create_task(store.checkpoint("j1", [checkpoint]))
        await asyncio.sleep(piece % 10 / 5_000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.learn("j1", Learned())  # a write behind the last of them: none is still going on
    tally = await store.tally("j1")
    shards = [shard async for shard in store.shards("j1")]
    assert tally.pieces_done == tally.rows_failed == tally.usage.cost_picousd
    assert tally.pieces_done == len(shards[0].results) == len(shards[0].dead_rows)
    again = make_checkpoint(lease, 100, done=[0])
    assert await store.checkpoint("j1", [again]) == set()


async def test_a_committed_checkpoint_survives_the_death_of_its_process(path: Path) -> None:
    program = """
import asyncio, os, sys
from batcher.adapters.system.clock import SystemClock
from batcher.adapters.store import open_store
from tests.store.making import claim_one, make_checkpoint, open_planned

async def main(path):
    store = await open_store(path, SystemClock())
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, done=[0, 1])])
    os.kill(os.getpid(), 9)

asyncio.run(main(*sys.argv[1:]))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(path), cwd=Path(__file__).parents[3]
    )
    assert await process.wait() == -9
    store = await open_store(str(path), FakeClock())
    assert (await store.tally("j1")).pieces_done == 2
    await store.close()


# --- failures ---------------------------------------------------------------------------------


async def test_a_full_disk_is_said_and_loses_nothing(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    await store.checkpoint("j1", [make_checkpoint(lease, 1, done=[0])])
    limited(store, "max_page_count=1")  # as small as it is now
    with pytest.raises(StoreError, match=r"disk is full.*SQLITE_FULL"):
        await store.checkpoint("j1", [large(make_checkpoint(lease, 2, done=[1]))])
    limited(store, "max_page_count=100000")
    await store.checkpoint("j1", [large(make_checkpoint(lease, 2, done=[1]))])
    assert (await store.tally("j1")).pieces_done == 2


async def test_the_room_on_its_disk_is_known(store: Store, path: Path) -> None:
    room = store.room_bytes()
    assert room is not None
    assert 0 <= room <= shutil.disk_usage(path.parent).total


def large(checkpoint: Checkpoint) -> Checkpoint:
    return replace(checkpoint, results=os.urandom(1 << 20))


def limited(store: Store, setting: str) -> None:
    """Set a pragma on the store's one writing connection."""
    database = store._database  # type: ignore[attr-defined]
    assert isinstance(database, sqlite.SqliteDatabase)
    with closing(database._writer.raw_connection()) as connection:
        driver = connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        driver.execute(f"PRAGMA {setting}")


async def test_a_file_that_cannot_be_written_is_said(store: Store) -> None:
    await open_planned(store)
    limited(store, "query_only=ON")
    with pytest.raises(StoreError, match=r"cannot be written: check its permissions"):
        await store.learn("j1", Learned())


async def test_a_file_of_something_else_is_said(path: Path) -> None:
    path.write_bytes(b"id,text\n1,hello\n" * 100)
    with pytest.raises(StoreError, match="not an SQLite database"):
        await open_store(str(path), FakeClock())


async def test_a_damaged_file_is_said(store: Store, path: Path) -> None:
    await open_planned(store, shards=30)
    await store.close()
    with path.open("r+b") as file:
        file.seek(sqlite.PAGE_BYTES)
        file.write(os.urandom(path.stat().st_size - sqlite.PAGE_BYTES))
    with pytest.raises(StoreError, match="damaged"):
        await (await open_store(str(path), FakeClock())).tally("j1")


async def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="directory cannot be made"):
        await open_store(str(tmp_path / "file" / "batcher.db"), FakeClock())


async def test_a_directory_in_place_of_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        await open_store(str(tmp_path), FakeClock())


async def test_a_file_held_for_too_long_is_said(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    store = await open_store(str(path), FakeClock())
    await store.open_job(make_job(), fresh=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process keeps it locked"):
            await store.learn("j1", Learned())
    await store.learn("j1", Learned())
    await store.close()


async def test_an_id_that_is_taken_is_said(store: Store) -> None:
    await store.open_job(make_job("j1"), fresh=False)
    with pytest.raises(StoreError, match="'j1' is there already"):
        await store.open_job(make_job("j1", fingerprint="g"), fresh=False)


async def test_no_error_quotes_what_was_to_be_written(store: Store) -> None:
    await open_planned(store)
    lease = await claim_one(store)
    secret = make_dead(1, code="sk-secret")
    twice = {1: secret, 2: secret}
    with pytest.raises(BatcherError) as caught:
        await store.checkpoint("j1", [make_checkpoint(lease, dead=twice)])
    error: BaseException | None = caught.value
    while error is not None:
        assert "sk-secret" not in f"{error} {error!r}"
        error = error.__cause__
    assert (await store.tally("j1")).rows_failed == 0


def test_every_remedy_is_for_a_code_that_sqlite_has() -> None:
    assert all(hasattr(sqlite3, code) for code in _REMEDIES)
    assert "disk I/O error" in str(store_error("x", sqlite3.OperationalError("disk I/O error")))


# --- the WAL ----------------------------------------------------------------------------------


KEPT = 4 << 20
COMMIT = 1 << 20
FRAMES = KEPT + COMMIT * 5 // 4
"""The WAL when the writer empties it: the bound, and the commit that reached it with its pages."""


@contextmanager
def reading_without_a_gap(path: Path) -> Iterator[None]:
    """Two connections whose transactions overlap: one begins before the other ends, on and on."""
    stopped = threading.Event()
    began = threading.Event()

    def read() -> None:
        with closing(reader(path)) as one, closing(reader(path)) as other:
            begin(one)
            began.set()
            while not stopped.is_set():
                begin(other)
                one.execute("COMMIT")
                one, other = other, one

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert began.wait(PATIENCE_SECONDS)
        yield
    finally:
        stopped.set()
        thread.join()


def reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def begin(connection: sqlite3.Connection) -> None:
    """Begin to read: what is committed from now on stays in the WAL until this ends."""
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM job").fetchone()


async def wal_sizes(store: Store, path: Path, lease: Lease, commits: range) -> list[int]:
    """The size of the WAL after each of some commits of a megabyte."""
    wal = path.with_name("batcher.db-wal")
    sizes = []
    for seq in commits:
        await store.checkpoint("j1", [large(make_checkpoint(lease, seq, done=[0]))])
        sizes.append(wal.stat().st_size)
    return sizes


async def test_the_wal_stays_bounded_while_readers_overlap(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer waits until all who read what is older have ended, however long that takes."""
    monkeypatch.setattr(sqlite, "WAL_BYTES_KEPT", KEPT)
    monkeypatch.setattr(sqlite, "TRIM_MILLISECONDS", 600_000)
    store = await open_store(str(path), FakeClock())
    await open_planned(store)
    lease = await claim_one(store)

    with reading_without_a_gap(path):
        sizes = await wal_sizes(store, path, lease, range(24))

    await store.close()
    assert max(sizes) < FRAMES
    assert sizes.count(0) == 24 // (KEPT // COMMIT)


async def test_a_reader_who_never_ends_delays_a_commit_each_time_the_wal_has_grown(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "WAL_BYTES_KEPT", KEPT)
    monkeypatch.setattr(sqlite, "TRIM_MILLISECONDS", 1)
    store = await open_store(str(path), FakeClock())
    await open_planned(store)
    lease = await claim_one(store)
    tried: list[str] = []
    database = store._database  # type: ignore[attr-defined]
    with closing(database._writer.raw_connection()) as connection:
        connection.driver_connection.set_trace_callback(
            lambda said: tried.append(said) if "TRUNCATE" in said else None
        )

    with closing(reader(path)) as held:
        begin(held)
        sizes = await wal_sizes(store, path, lease, range(12))
        assert sizes == sorted(set(sizes))
        assert len(tried) == sizes[-1] // KEPT
    later = await wal_sizes(store, path, lease, range(12, 40))

    await store.close()
    assert max(later) < sizes[-1] + FRAMES


async def test_a_store_is_closed_also_where_nobody_waits_for_it_any_more(tmp_path: Path) -> None:
    """As a run that is cancelled while it closes, on a machine whose threads are all busy."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    store = await open_store(str(tmp_path / "batcher.db"), FakeClock())
    await store.jobs()
    go_on = threading.Event()
    busy = loop.run_in_executor(None, go_on.wait, PATIENCE_SECONDS)
    leaving = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    go_on.set()
    await busy
    await loop.run_in_executor(None, int)
    with pytest.raises(RuntimeError, match="shutdown"):
        await store.jobs()
