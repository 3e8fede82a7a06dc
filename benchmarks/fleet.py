"""A fleet on one machine: a real Valkey, a real Postgres, workers as processes of their own."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from batcher.settings import Settings
from batcher.wiring import open_runner
from benchmarks.inputs import write_csv
from benchmarks.limits import Scenario
from benchmarks.processes import Server, run, serving, start
from benchmarks.results import Result, middle
from scripts.servers.postgres import postgres_server
from scripts.servers.valkey import valkey_server

_WORKERS = 4
_CHAT_ROWS = 20_000
_PAIRS = 3
_SUBMITTED_ROWS = 1_000_000
_LEASE_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_PROMPT = "{{ text }}"


@dataclass(frozen=True, slots=True)
class Services:
    """Where the database and Redis are; the environment names them as well."""

    settings: Settings
    directory: Path

    @contextmanager
    def workers(self, count: int, *options: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """So many workers, ended in good order."""
        running = [
            # Without a key, which workers send to no server that they were not told of.
            start(["-m", "batcher", "worker", *options], self.directory, OPENAI_API_KEY="")
            for _ in range(count)
        ]
        try:
            asyncio.run(self._alive(count))
            yield running
        finally:
            for process in running:
                process.send_signal(signal.SIGTERM)
            for process in running:
                process.wait()

    async def _alive(self, count: int) -> None:
        async with open_runner(self.settings) as runner:
            while sum(state.alive for state in await runner.workers()) < count:
                await asyncio.sleep(_LOOK_SECONDS)

    def batcher(self, *command: str) -> Any:
        """What a command prints as JSON."""
        return run(["-m", "batcher", *command, "--json"], self.directory).json


@contextmanager
def services() -> Iterator[Services]:
    """A Valkey and a Postgres with the tables."""
    with (
        TemporaryDirectory() as name,
        postgres_server({"fsync": "on"}) as postgres,
        valkey_server() as valkey,
    ):
        url = postgres.url(postgres.database())
        told = {"BATCHER_DATABASE_URL": url, "BATCHER_REDIS_URL": valkey.url}
        before = {key: os.environ.get(key) for key in told}
        os.environ.update(told)
        try:
            directory = Path(name)
            (directory / "prompt.txt").write_text(_PROMPT)
            run(["-m", "batcher", "db", "upgrade"], directory)
            yield Services(Settings(database_url=url, redis_url=valkey.url), directory)
        finally:
            for key, value in before.items():
                os.environ.pop(key) if value is None else os.environ.__setitem__(key, value)


def _chat(source: Path, server: Server) -> list[str]:
    options = ["--id", "id", "--prompt", str(source.parent / "prompt.txt")]
    return ["chat", str(source), *options, "--model", "gpt-4o-mini", "--base-url", server.base_url]


def limits(scale: float) -> Iterator[Result]:
    """Four workers under one limit, told by headers: time, to the least; answered 429."""
    scenarios = [
        Scenario(name="rpm", tokens=False, bucket_seconds=6),
        Scenario(name="tpm", tokens=True, bucket_seconds=6),
    ]
    for scenario in scenarios:
        yield from _under(scenario, scale)


def _under(scenario: Scenario, scale: float) -> Iterator[Result]:
    limit = scenario.per_minute
    rows = round((scenario.bucket_seconds + 60 * scale) * 10)
    simulator = ["-m", "batcher", "simulate", "--json", "--latency", "200", scenario.flag]
    simulator += [str(limit), "--bucket-seconds", str(scenario.bucket_seconds)]
    with serving(*simulator) as server, services() as here, here.workers(_WORKERS):
        source = here.directory / "input.csv"
        write_csv(source, rows)
        job = here.batcher("submit", *_chat(source, server), "--max-tokens", "100")["job"]
        report = here.batcher("watch", job)
        stats = server.ask("/_stats")
    if report["rows"]["done"] != rows:
        raise RuntimeError(f"some rows failed: {report}")
    charged = stats["tokens_charged"] if scenario.tokens else stats["requests_served"]
    least = (charged - limit * scenario.bucket_seconds / 60) / (limit / 60)
    took = stats["last_request_at"] - stats["first_request_at"]
    name = f"{_WORKERS} workers, {scenario.name}"
    details = {"seconds": took, "least_seconds": least, "stats": stats}
    yield Result(name=f"{name}: time, to the least", value=took / least, most=1.04, details=details)
    refused = 100 * stats["rate_limited"] / stats["requests"]
    yield Result(name=f"{name}: answered 429", value=refused, unit="%", most=0.1)


def worker(scale: float) -> Iterator[Result]:
    """One worker with Redis and Postgres against one process with SQLite, no latency."""
    rows = round(_CHAT_ROWS * scale)
    alone: list[float] = []
    fleet: list[float] = []
    with serving("-m", "benchmarks.instant") as server, services() as here:
        source = here.directory / "input.csv"
        write_csv(source, rows)
        command = _chat(source, server)
        for _ in range(_PAIRS):
            server.ask("/_reset")
            state = ["--db", str(here.directory / f"{len(alone)}.db"), "--redis", "", "--quiet"]
            run(["-m", "batcher", "run", *command, *state], here.directory)
            alone.append(_rate(server, rows))
            server.ask("/_reset")
            with here.workers(1):
                job = here.batcher("submit", *command, "--fresh")["job"]
                here.batcher("watch", job)
            fleet.append(_rate(server, rows))
    ratio = middle([mine / other for mine, other in zip(fleet, alone, strict=True)])
    details = {"sqlite": alone, "fleet": fleet}
    yield Result(name="a worker: speed, to a run's on SQLite", value=ratio, least=0.7)
    yield Result(name="a worker", value=middle(fleet), unit="rows/s", details=details)


def _rate(server: Server, rows: int) -> float:
    seen = server.ask("/_stats")
    if seen["inputs"] != rows:
        raise RuntimeError(f"{seen['inputs']} inputs were sent, not {rows}")
    return float(rows / (seen["last_at"] - seen["first_at"]))


def submit(scale: float) -> Iterator[Result]:
    """From the start of a submit of a large file to the job's first request, a worker idle."""
    rows = round(_SUBMITTED_ROWS * scale)
    with (
        serving(
            "-m", "batcher", "simulate", "--json", "--latency", "200", "--rpm", "600"
        ) as server,
        services() as here,
        here.workers(1),
        ExitStack() as stack,
    ):
        source = here.directory / "input.csv"
        write_csv(source, rows)
        began = time.monotonic()
        process = start(["-m", "batcher", "submit", *_chat(source, server)], here.directory)
        stack.callback(process.wait)
        stack.callback(process.kill)
        while not server.ask("/_stats")["requests"]:
            if process.poll():
                raise RuntimeError("submit failed")
            time.sleep(_LOOK_SECONDS)
        took = time.monotonic() - began
    size = f"{rows:,} rows"
    yield Result(name=f"submit of {size}: first request", value=took, unit="s", most=5.0)


def takeover(scale: float) -> Iterator[Result]:
    """From SIGKILL of a worker to all its shards being worked on again; leases of ten seconds."""
    rows = round(4_000 * scale)
    lease = ["--lease-seconds", f"{_LEASE_SECONDS:g}"]
    simulator = ["-m", "batcher", "simulate", "--json", "--latency", "2000"]
    with serving(*simulator) as server, services() as here, here.workers(2, *lease) as running:
        source = here.directory / "input.csv"
        write_csv(source, rows)
        run(["-m", "batcher", "submit", *_chat(source, server)], here.directory)
        took = asyncio.run(_taken_over(here.settings, running[0]))
    most = _LEASE_SECONDS + 5
    yield Result(name="SIGKILL to taken over", value=took, unit="s", most=most)


async def _taken_over(settings: Settings, victim: subprocess.Popen[bytes]) -> float:
    async with open_runner(settings) as runner:

        async def holds() -> int:
            states = await runner.workers()
            return sum(sum(s.holds.values()) for s in states if s.card.pid == victim.pid)

        while not await holds():
            await asyncio.sleep(_LOOK_SECONDS)
        victim.kill()
        began = time.monotonic()
        while await holds():
            await asyncio.sleep(_LOOK_SECONDS)
        return time.monotonic() - began
