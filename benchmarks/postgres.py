"""What a Postgres on this machine does, fsync on: a run against one on SQLite, and what it writes.

Both databases take turns. The server's own CPU comes on top of the run's, on the same two cores.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from batcher.adapters.store import migrate, open_store
from batcher.adapters.system.clock import SystemClock
from benchmarks.inputs import write_csv
from benchmarks.processes import Server, run, serving
from benchmarks.results import Result, middle
from tests.servers.postgres import PostgresServer, postgres_server
from tests.store.making import make_checkpoint, open_planned

_REAL = {
    "fsync": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_level": "replica",
    "autovacuum": "on",
}
_ROWS = {"embed": 100_000, "chat": 20_000}
_OPTIONS = {
    "embed": ["--text", "text", "--model", "text-embedding-3-small", "--max-inputs", "128"],
    "chat": ["--prompt", "prompt.txt", "--model", "gpt-4o-mini"],
}
_REPETITIONS = 3
_MILLION = 1_000_000
_VECTOR_BYTES = 4 * 1_536
_VECTORS = 170
_CHECKPOINTS = 200


@dataclass(frozen=True, slots=True)
class Written:
    """Counters of a database: what it holds, and what it took to write that."""

    size_bytes: int
    wal_bytes: int
    commits: int
    row_versions: int

    @classmethod
    def of(cls, server: PostgresServer, database: str) -> Written:
        """What the server says now."""
        with closing(server.connect(database)) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            found = connection.execute(
                "SELECT pg_database_size(current_database()),"
                " pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, xact_commit,"
                " (SELECT sum(n_tup_ins + n_tup_upd) FROM pg_stat_user_tables)::bigint"
                " FROM pg_stat_database WHERE datname = current_database()"
            ).fetchone()
        assert found is not None
        return cls(*found)


def postgres(scale: float) -> Iterator[Result]:
    """Runs of both kinds: speed, what is written, and the export."""
    for kind, rows in _ROWS.items():
        yield from _runs(kind, round(rows * scale))


def _runs(kind: str, rows: int) -> Iterator[Result]:
    rates: dict[str, list[float]] = {"sqlite": [], "postgres": []}
    exports: dict[str, list[float]] = {"sqlite": [], "postgres": []}
    with (
        TemporaryDirectory() as name,
        serving("-m", "benchmarks.instant") as server,
        postgres_server(_REAL) as postgres,
    ):
        directory = Path(name)
        source = directory / "input.csv"
        write_csv(source, rows)
        (directory / "prompt.txt").write_text("{{ text }}")
        database = postgres.database()
        urls = {"sqlite": str(directory / "batcher.db"), "postgres": postgres.url(database)}
        migrate.upgrade(urls["postgres"])
        before = Written.of(postgres, database)
        for _ in range(_REPETITIONS):
            for where, url in urls.items():
                command = [kind, str(source), "--id", "id", "--base-url", server.base_url]
                command += [*_OPTIONS[kind], "--fresh", "--quiet", "--json", "--db", url]
                rate, job = _run(directory, server, rows, command)
                rates[where].append(rate)
                if kind == "embed":
                    exports[where].append(_export(directory, rows, job, url))
        after = Written.of(postgres, database)
    ratio = [ours / theirs for ours, theirs in zip(rates["postgres"], rates["sqlite"], strict=True)]
    yield Result(name=f"{kind}: on Postgres", value=middle(rates["postgres"]), unit="rows/s")
    yield Result(name=f"{kind}: speed, to that on SQLite", value=middle(ratio), details=rates)
    done = rows * _REPETITIONS / _MILLION
    for what, value, unit in (
        ("size", (after.size_bytes - before.size_bytes) / 1e9, "GB"),
        ("WAL", (after.wal_bytes - before.wal_bytes) / 1e9, "GB"),
        ("commits", after.commits - before.commits, ""),
        ("row versions", after.row_versions - before.row_versions, ""),
    ):
        yield Result(name=f"{kind}: {what} per million rows", value=value / done, unit=unit)
    for where, found in exports.items():
        if found:
            name = f"{kind}: export to Parquet from {where}"
            yield Result(name=name, value=middle(found), unit="rows/s", details={"rates": found})


def _run(directory: Path, server: Server, rows: int, command: list[str]) -> tuple[float, str]:
    """Rows a second, as the server saw them, and the job."""
    server.ask("/_reset")
    job = run(["-m", "batcher", "run", *command], directory).json["job"]
    stats = server.ask("/_stats")
    return rows / (stats["last_at"] - stats["first_at"]), str(job)


def _export(directory: Path, rows: int, job: str, url: str) -> float:
    target = directory / "out.parquet"
    ended = run(["-m", "batcher", "export", job, "-o", str(target), "--db", url], directory)
    target.unlink()
    return rows / ended.seconds


def checkpoints(scale: float) -> Iterator[Result]:
    """The store alone: checkpoints of a megabyte of vectors, of one worker and of four."""
    with postgres_server(_REAL) as server:
        for workers in (1, 4):
            database = server.database()
            migrate.upgrade(server.url(database))
            count = round(_CHECKPOINTS * scale)
            seconds = asyncio.run(_checkpoint(server.url(database), workers, count))
            yield Result(
                name=f"checkpoints of 1 MB of vectors, {workers} at once",
                value=count * _VECTORS / seconds,
                unit="rows/s",
            )


async def _checkpoint(url: str, workers: int, count: int) -> float:
    results = os.urandom(_VECTORS * _VECTOR_BYTES)
    store = await open_store(url, SystemClock())
    each = count // workers
    await open_planned(store, shards=workers, rows=each * _VECTORS)
    leases = await store.claim("j1", "a", limit=workers, ttl_seconds=600)

    async def work(worker: int) -> None:
        for seq in range(each):
            done = range(seq * _VECTORS, (seq + 1) * _VECTORS)
            checkpoint = make_checkpoint(leases[worker], seq, done=done)
            await store.checkpoint("j1", [replace(checkpoint, results=results)])

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for worker in range(workers):
            tasks.create_task(work(worker))
    seconds = time.perf_counter() - started
    await store.close()
    return seconds
