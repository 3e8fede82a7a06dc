"""Runs that know of nothing but one Redis share one limit."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from batcher.core.job.spec import JobSpec
from batcher.settings import Settings
from batcher.simulator import SimulatorConfig, serve
from batcher.wiring import open_runner
from tests.servers.valkey import ValkeyServer

PER_SECOND = 40
BUCKET_SECONDS = 2
ROWS = 150


def spec(directory: Path, base_url: str, name: str) -> JobSpec:
    source = directory / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"text": f"{name} {n}"}) + "\n" for n in range(ROWS)))
    prompt = directory / "prompt.txt"
    prompt.write_text("{{ text }}")
    return JobSpec.from_json(
        {
            "kind": "chat",
            "input": str(source),
            "model": "gpt-4o-mini",
            "options": {"prompt": str(prompt), "max_tokens": 5},
            "base_url": base_url,
        }
    )


async def test_runs_of_different_processes_meet_before_the_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, valkey: ValkeyServer
) -> None:
    """They have databases of their own, as two people would who share a key."""
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    valkey.empty()
    config = SimulatorConfig(rpm=60 * PER_SECOND, bucket_seconds=BUCKET_SECONDS, latency_ms=50)
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(serve(config, count_tokens=len))

        async def run(name: str) -> None:
            settings = Settings(database_url=f"{tmp_path}/{name}.db", redis_url=valkey.url)
            async with open_runner(settings) as runner:
                report = await runner.run(spec(tmp_path, simulator.base_url, name))
            assert report.rows_done == ROWS

        started = time.monotonic()
        await asyncio.gather(run("first"), run("second"))
        took = time.monotonic() - started
        stats = simulator.stats
    assert stats.requests_served == 2 * ROWS
    assert stats.rate_limited <= 5  # two hundredths, on a machine that stalls
    assert took >= 2 * ROWS / PER_SECOND - BUCKET_SECONDS - 1
