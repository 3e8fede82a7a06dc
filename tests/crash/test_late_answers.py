"""SIGKILL while answers are to come: what was submitted is in doubt, and asked for again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve

pytestmark = pytest.mark.process

ROWS = 300
CHECKOUT = Path(__file__).resolve().parent.parent.parent


async def run(simulator: Simulator, *arguments: str, kill_at: int | None = None) -> int:
    """One process; killed once the provider has had so many requests. Its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.crash.run_in_groups", arguments[0], arguments[1]),
        *(simulator.base_url, arguments[2]),
        cwd=CHECKOUT,
        env={**os.environ, "OPENAI_API_KEY": "sk-test"},
    )
    ending = asyncio.create_task(process.wait())
    while not ending.done() and (kill_at is None or simulator.stats.requests < kill_at):
        await asyncio.sleep(0.002)
    if not ending.done():
        process.kill()
    return await ending


async def test_killed_again_and_again_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    source, calm, stormy = (tmp_path / name for name in ("in.jsonl", "calm.jsonl", "out.jsonl"))
    rows = [{"text": f"text {row}" + " [[fault=500*1]]" * (row == 77)} for row in range(ROWS)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    async with serve(SimulatorConfig(dimensions=8, latency_ms=5)) as simulator:
        assert await run(simulator, str(tmp_path / "a.db"), str(source), str(calm)) == 0
        simulator.reset()
        arguments = (str(tmp_path / "b.db"), str(source), str(stormy))
        for kill_at in (30, 80, 140):
            assert await run(simulator, *arguments, kill_at=kill_at) == -9
        assert await run(simulator, *arguments) == 0
        stats = simulator.stats.snapshot()
    assert stormy.read_bytes() == calm.read_bytes()
    manifest = json.loads(Path(f"{stormy}.manifest.json").read_bytes())
    assert manifest["rows"] == {"total": ROWS, "done": ROWS, "failed": 0}
    admitted = manifest["billed_twice_at_most"]
    assert admitted["requests"] >= stats["requests_served_twice"] > 0
    assert admitted["inputs"] >= stats["inputs_served_twice"]
