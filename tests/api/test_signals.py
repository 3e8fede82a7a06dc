"""ctrl-C and SIGKILL of a program: what is paid for is found again by the same call."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batcher.simulator import Simulator
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ROWS = 400
PROGRAM = f"""
import asyncio, sys
import batcher

def texts():
    return (f"a text of number {{n}}" for n in range({ROWS}))

def work():
    labels = batcher.classify(texts(), ["one", "other"], concurrency=8, progress=False)
    print(len(labels))

async def in_a_loop():
    work()

try:
    asyncio.run(in_a_loop()) if "loop" in sys.argv else work()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    print(len(asyncio.run(jobs())))
"""
JOBS = """
async def jobs():
    async with batcher.open_runner() as runner:
        return [r for r in await runner.jobs() if r.status == "open" and not r.doubt_requests]
"""


def start(workplace: Path, simulator: Simulator, *arguments: str) -> subprocess.Popen[str]:
    (workplace / "program.py").write_text(PROGRAM.replace("def work", JOBS + "\ndef work", 1))
    return subprocess.Popen(
        [sys.executable, "program.py", *arguments],
        cwd=workplace,
        env={
            "PATH": "",
            "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": simulator.base_url,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_requests(simulator: Simulator, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while simulator.stats.snapshot()["requests"] < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no requests came"
        time.sleep(0.005)


@pytest.mark.parametrize("where", ["script", "loop"])
def test_an_interrupt_settles_and_keeps_what_is_in_flight(
    workplace: Path, simulator: Simulator, where: str
) -> None:
    process = start(workplace, simulator, where)
    wait_for_requests(simulator, 20, process)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    # One job is left, and none of its requests is in doubt.
    assert stdout.split() == ["interrupted", "1"], stderr

    again = start(workplace, simulator, where)
    stdout, stderr = again.communicate(timeout=PATIENCE_SECONDS)
    assert stdout.split() == [str(ROWS)], stderr
    assert simulator.stats.snapshot()["requests"] == ROWS


def test_what_was_paid_for_before_a_crash_is_found_again(
    workplace: Path, simulator: Simulator
) -> None:
    process = start(workplace, simulator)
    wait_for_requests(simulator, ROWS // 2, process)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    sent = simulator.stats.snapshot()["requests"]

    again = start(workplace, simulator)
    stdout, stderr = again.communicate(timeout=PATIENCE_SECONDS)
    assert stdout.split() == [str(ROWS)], stderr
    more = simulator.stats.snapshot()["requests"] - sent
    assert more < ROWS  # what was checkpointed is not sent again
