"""``python -m benchmarks.footprint [ROWS]``: what a fleet's jobs take of Postgres and of Redis.

Two workers, a provider without limits on one machine; for each kind of job, per million rows:
bytes of the database and of its write-ahead log, transactions, and Redis commands and memory.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from benchmarks.inputs import write_csv
from benchmarks.processes import run, serving, start
from scripts.servers.postgres import PostgresServer, postgres_server
from scripts.servers.valkey import ValkeyServer, valkey_server

_ROWS = 20_000
_JOBS = {
    "chat, 24 tokens each": ["chat", "in.csv", "--prompt", "p.j2", "--model", "gpt-4o-mini"],
    "embed, 1,536 dimensions": [
        "embed", "in.csv", "--text", "text", "--model", "text-embedding-3-small",
    ],
}  # fmt: skip
_BATCHER = ["-m", "batcher"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the servers have counted by now."""

    database_bytes: int
    wal_bytes: int
    transactions: int
    redis_commands: int
    redis_peak_bytes: int


@dataclass(frozen=True, slots=True)
class Site:
    """The servers of one measurement."""

    postgres: PostgresServer
    database: str
    valkey: ValkeyServer

    def read(self) -> Reading:
        """Ask the servers."""
        with self.postgres.connect(self.database) as client:
            client.execute("SELECT pg_stat_force_next_flush()")
            client.execute("CHECKPOINT")
            row = client.execute(
                "SELECT pg_database_size(current_database()), "
                "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, "
                "(SELECT xact_commit FROM pg_stat_database WHERE datname = current_database())"
            ).fetchone()
        assert row is not None
        database_bytes, wal_bytes, transactions = row
        with redis.Redis(port=self.valkey.port) as asked:
            info = asked.info()
        assert isinstance(info, dict)
        return Reading(
            database_bytes,
            wal_bytes,
            transactions,
            info["total_commands_processed"],
            info["used_memory_peak"],
        )


@contextmanager
def _site(directory: Path) -> Iterator[Site]:
    with valkey_server() as valkey, postgres_server() as postgres:
        database = postgres.database()
        os.environ |= {
            "BATCHER_DATABASE_URL": postgres.url(database),
            "BATCHER_REDIS_URL": valkey.url,
        }
        run([*_BATCHER, "db", "upgrade"], directory)
        yield Site(postgres, database, valkey)


def _measure(site: Site, directory: Path, job: list[str], rows: int, base_url: str) -> None:
    before = site.read()
    began = time.monotonic()
    run([*_BATCHER, "submit", *job, "--base-url", base_url, "--id", "id"], directory)
    submitted = site.read()
    command = [*_BATCHER, "worker", "--log-level", "error"]
    # Without a key, which workers send to no server that they were not told of.
    workers = [start(command, directory, OPENAI_API_KEY="") for _ in range(2)]
    while json.loads(run([*_BATCHER, "jobs", "--json"], directory).output)[0]["status"] == "open":
        time.sleep(1)
    seconds = time.monotonic() - began
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.wait()
    after = site.read()
    scale = 1_000_000 / rows
    with psycopg.connect(site.postgres.url(site.database)) as client:
        (shards,) = client.execute("SELECT count(*) FROM shard").fetchone() or (0,)
    print(
        f"  {seconds:.0f} s; {shards} shards so far\n"
        f"  database  {(after.database_bytes - before.database_bytes) * scale / 1e9:.2f} GB"
        f" (planned: {(submitted.database_bytes - before.database_bytes) * scale / 1e9:.2f} GB)\n"
        f"  WAL       {(after.wal_bytes - before.wal_bytes) * scale / 1e9:.2f} GB"
        f" (planned: {(submitted.wal_bytes - before.wal_bytes) * scale / 1e9:.2f} GB)\n"
        f"  commits   {(after.transactions - before.transactions) / seconds:.0f} a second\n"
        f"  Redis     {(after.redis_commands - before.redis_commands) / seconds:.0f} commands a "
        f"second, {after.redis_peak_bytes / 1e6:.1f} MB at the most",
        flush=True,
    )


def main() -> None:
    """Measure all kinds of jobs."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else _ROWS
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_csv(directory / "in.csv", rows)
        (directory / "p.j2").write_text("{{ text }}")
        for title, job in _JOBS.items():
            with _site(directory) as site, serving(*_BATCHER, "simulate", "--json") as server:
                print(f"{title}: {rows} rows, figures per million", flush=True)
                _measure(site, directory, job, rows, server.base_url)


if __name__ == "__main__":
    main()
