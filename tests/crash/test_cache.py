"""SIGKILL while a cache is being filled: it has what is committed, no more and no less."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from batcher.adapters.store import open_store
from batcher.adapters.system.clock import SystemClock
from batcher.core.job.filter import EVERY_JOB
from batcher.core.job.fingerprint import CONTENT_BYTES
from batcher.simulator import Simulator, SimulatorConfig, serve

pytestmark = pytest.mark.process

ROWS = 400
CHECKOUT = Path(__file__).resolve().parent.parent.parent


async def run(simulator: Simulator, database: Path, source: Path, kill_at: int | None) -> int:
    """One process; killed once the provider has had so many requests. Its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.crash.run_with_cache",
        *(str(database), str(source), simulator.base_url),
        cwd=CHECKOUT,
        env={**os.environ, "OPENAI_API_KEY": "sk-test"},
    )
    ending = asyncio.create_task(process.wait())
    while not ending.done() and (kill_at is None or simulator.stats.requests < kill_at):
        await asyncio.sleep(0.005)
    if not ending.done():
        process.kill()
    return await ending


async def committed(database: Path) -> set[bytes]:
    """The contents of all rows that have a result."""
    found: set[bytes] = set()
    store = await open_store(str(database), SystemClock())
    try:
        for job in await store.jobs(wanted=EVERY_JOB):
            async for shard in store.outlines(job.id):
                contents = shard.contents or b""
                starts = [piece * CONTENT_BYTES for piece in shard.done]
                found |= {contents[start : start + CONTENT_BYTES] for start in starts}
    finally:
        await store.close()
    return found


def kept(database: Path) -> set[bytes]:
    with closing(sqlite3.connect(database)) as connection:
        return {row[0] for row in connection.execute("SELECT content FROM kept_answer")}


def write(path: Path, texts: Sequence[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


async def test_a_cache_that_is_filled_with_checkpoints_survives_every_kill(tmp_path: Path) -> None:
    texts = [f"text {row}" + (" [[fault=400]]" if row % 100 == 7 else "") for row in range(ROWS)]
    source, database = write(tmp_path / "in.jsonl", texts), tmp_path / "b.db"
    async with serve(SimulatorConfig(latency_ms=20)) as simulator:
        for requests in (60, 160, 280):
            assert await run(simulator, database, source, requests) == -9
            assert kept(database) == await committed(database)
        some = len(kept(database))
        assert 0 < some < ROWS
        assert await run(simulator, database, source, None) == 0
        assert kept(database) == await committed(database)
        assert len(kept(database)) == ROWS - 4
        before = simulator.stats.requests
        more = write(tmp_path / "more.jsonl", [*texts, "one more"])
        assert await run(simulator, database, more, None) == 0
        sent_again = simulator.stats.requests - before
        assert sent_again <= 1 + 4 * 2, "all but the rows that failed come from the cache"
