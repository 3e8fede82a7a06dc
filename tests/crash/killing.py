"""Running the real command as a process, and ending it with SIGKILL at a moment of one's choice."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from batcher.simulator import Simulator

_POLL_SECONDS = 0.001


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code (negative for a signal) and what it said."""

    code: int
    stderr: str


@dataclass
class Kill:
    """One kill: the phase that it hit, and how many requests the provider had in flight then."""

    phase: str
    in_flight: int
    requests: int


@dataclass
class Command:
    """``batcher`` in a working directory, told of a provider."""

    directory: Path
    arguments: Sequence[str]
    simulator: Simulator
    kills: list[Kill] = field(default_factory=list)

    async def run(self, *, kill_when: Callable[[int], str | None] | None = None) -> Ending:
        """Run to the end, or until ``kill_when(pid)`` names the phase to kill it in."""
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": self.simulator.base_url,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "batcher",
            *self.arguments,
            cwd=self.directory,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        said = asyncio.create_task(process.communicate())
        try:
            while kill_when is not None and process.returncode is None:
                phase = kill_when(process.pid)
                if phase is not None:
                    process.send_signal(signal.SIGKILL)
                    stats = self.simulator.stats.snapshot()
                    self.kills.append(Kill(phase, stats["in_flight"], stats["requests"]))
                    break
                await asyncio.sleep(_POLL_SECONDS)
            _, stderr = await said
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return Ending(process.returncode, stderr.decode())


def reading(pid: int, file: Path) -> bool:
    """Whether the process has the file open."""
    try:
        return any(entry.readlink() == file for entry in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def plan_of(database: Path) -> tuple[int, bool]:
    """How many shards there are, and whether the plan is complete; (-1, False) without a job."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            shards, planned = connection.execute(
                "SELECT (SELECT count(*) FROM shard), (SELECT min(planned) FROM job)"
            ).fetchone()
    except sqlite3.Error:
        return -1, False
    return (-1, False) if planned is None else (shards, bool(planned))
