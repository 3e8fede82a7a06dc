"""``arq batcher.worker.WorkerSettings``: the same worker under arq's own command."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from batcher.settings import Settings
from batcher.simulator import SimulatorConfig, serve
from tests.fleet.harness import classifying, exported, fleet_of, tickets, undisturbed
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ROWS = 300


async def test_it_works_and_ends_in_good_order(tmp_path: Path, settings: Settings) -> None:
    source = tmp_path / "in.csv"
    source.write_text(tickets(ROWS))
    async with serve(SimulatorConfig(latency_ms=20)) as simulator:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": simulator.base_url,
            "BATCHER_DATABASE_URL": str(settings.database_url),
            "BATCHER_REDIS_URL": str(settings.redis_url),
        }
        spec = classifying(source, simulator)
        calm = await undisturbed(spec, tmp_path / "calm.jsonl")
        async with fleet_of((), tmp_path, settings, simulator) as (fleet, runner):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "arq", "batcher.worker.WorkerSettings",
                cwd=tmp_path,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            try:
                report = await runner.submit(spec)
                await fleet.completed(runner, report.job)
                assert await exported(runner, report.job, tmp_path / "out.jsonl") == calm
                assert [state.alive for state in await runner.workers()] == [True]
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    _, errors = await process.communicate()
            finally:
                if process.returncode is None:
                    process.kill()
            assert process.returncode == 0, errors.decode()
            assert await runner.workers() == []


async def test_without_redis_it_says_what_is_missing(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if "BATCHER" not in key}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arq", "batcher.worker.WorkerSettings",
        cwd=tmp_path,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    assert process.returncode != 0
    assert "BATCHER_REDIS_URL is not set" in errors.decode()
