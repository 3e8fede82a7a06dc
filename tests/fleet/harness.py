"""A fleet of real worker processes over a real Valkey and a real database, to be ill-treated."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.runner import Runner
from batcher.settings import Settings
from batcher.simulator import Simulator
from batcher.wiring import open_runner
from tests.waiting import PATIENCE_SECONDS

LEASE_SECONDS = 2.0
_LOOK_SECONDS = 0.1


@dataclass
class Fleet:
    """Workers by number; what they log is kept in files."""

    directory: Path
    settings: Settings
    simulator: Simulator
    workers: dict[int, asyncio.subprocess.Process] = field(default_factory=dict)
    kills: int = 0

    async def start(self, *numbers: int) -> None:
        """Start workers."""
        environment = {
            **os.environ,
            "OPENAI_API_KEY": "sk-test",
            "OPENAI_BASE_URL": self.simulator.base_url,
            "BATCHER_ALLOW_SOURCE": "\n".join(self.settings.allow_source),
            "BATCHER_DATABASE_URL": str(self.settings.database_url),
            "BATCHER_REDIS_URL": str(self.settings.redis_url),
        }
        for number in numbers:
            with (self.directory / f"worker-{number}.log").open("ab") as log:
                self.workers[number] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "batcher", "worker", "--lease-seconds", "2",
                    cwd=self.directory,
                    env=environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=log,
                )  # fmt: skip

    async def kill(self, number: int) -> None:
        """SIGKILL: nothing is settled, written or given back."""
        process = self.workers.pop(number)
        assert process.returncode is None, self.log(number)
        process.kill()
        await process.wait()
        self.kills += 1

    def freeze(self, number: int) -> None:
        """SIGSTOP: it does nothing, and does not know it."""
        self.workers[number].send_signal(signal.SIGSTOP)

    def wake(self, number: int) -> None:
        """SIGCONT: it goes on where it was."""
        self.workers[number].send_signal(signal.SIGCONT)

    async def stop(self, number: int) -> None:
        """SIGTERM, and wait for an end in good order."""
        process = self.workers.pop(number)
        process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        assert code == 0, self.log(number)

    async def end(self) -> None:
        """End what is left, whatever state it is in."""
        for process in self.workers.values():
            if process.returncode is None:
                process.kill()
            await process.wait()
        self.workers.clear()

    def log(self, number: int) -> str:
        """What a worker has said."""
        return (self.directory / f"worker-{number}.log").read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of that name that any worker has logged."""
        lines = [
            line
            for path in self.directory.glob("worker-*.log")
            for line in path.read_text().splitlines()
        ]
        events = [json.loads(line) for line in lines if line.startswith("{")]
        return [event for event in events if event["event"] == name]

    async def told(self, name: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until workers have logged an event so often; the events."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(events := self.events(name)) < times:
                await asyncio.sleep(_LOOK_SECONDS)
        return events

    async def completed(
        self, runner: Runner, job: str, *, seconds: float = PATIENCE_SECONDS
    ) -> Report:
        """Wait until a job is not open any more."""
        async with asyncio.timeout(seconds):
            while (report := await runner.status(job)).status == "open":
                await asyncio.sleep(_LOOK_SECONDS)
        return report

    async def sent(self, requests: int) -> None:
        """Wait until the provider has had so many requests more."""
        target = self.simulator.stats.requests + requests
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.simulator.stats.requests < target:
                await asyncio.sleep(_LOOK_SECONDS / 10)


@asynccontextmanager
async def fleet_of(
    numbers: Sequence[int], directory: Path, settings: Settings, simulator: Simulator
) -> AsyncIterator[tuple[Fleet, Runner]]:
    """So many workers at work, and a runner on their database."""
    fleet = Fleet(directory, settings, simulator)
    async with open_runner(settings) as runner:
        try:
            await fleet.start(*numbers)
            yield fleet, runner
        finally:
            await fleet.end()


def classifying(source: Path | str, simulator: Simulator, **more: Any) -> JobSpec:
    """A job over an input with ``id`` and ``body``, whose limit is never met."""
    return JobSpec(
        kind="classify",
        input=str(source),
        model="gpt-4o",
        options={"text": "body", "labels": "red,green,blue"},
        id="id",
        base_url=simulator.base_url,
        tpm=100_000_000,
        **more,
    )


def tickets(rows: int) -> str:
    """A CSV file's text with so many rows, nothing wrong with any of them."""
    return "id,body\n" + "".join(f"T{row},ticket {row}\n" for row in range(rows))


async def undisturbed(spec: JobSpec, output: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The output of one run that nothing happens to, and its dead letters."""
    async with open_runner(Settings(database_url="memory://")) as runner:
        await runner.run(spec, output=str(output))
    return output.read_bytes(), letters(output)


async def exported(runner: Runner, job: str, output: Path) -> tuple[bytes, list[dict[str, Any]]]:
    """The output of a job that workers have done, and its dead letters."""
    await runner.export(job, output=str(output))
    return output.read_bytes(), letters(output)


def letters(output: Path) -> list[dict[str, Any]]:
    """Dead letters without their attempts, which a crash may change."""
    path = output.with_name(f"{output.name}.errors.jsonl")
    lines = path.read_text().splitlines() if path.exists() else []
    return [{k: v for k, v in json.loads(line).items() if k != "attempts"} for line in lines]
