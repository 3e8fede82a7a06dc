"""A real runner, a simulated provider over real HTTP, and an hour in the blink of an eye."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.runner import Runner
from batcher.settings import Settings
from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.simulator.stats import Stats
from batcher.wiring import open_runner
from tests.engine.virtual_time import LoopClock

CANARY_KEY = "canary-credential-0123456789"
EMBEDDER = "text-embedding-3-small"
CHATTER = "gpt-4o-mini"
REASONER = "o1"
LABELS = "alpha,beta,gamma"


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one run left behind: its report, and the files of its output (empty without)."""

    report: Report
    records: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    manifest: dict[str, Any] | None

    @property
    def done(self) -> list[int]:
        """The rows in the output."""
        return [record["row"] for record in self.records]

    @property
    def failed(self) -> dict[int, tuple[str, int]]:
        """Code and attempts of the dead letters by row."""
        return {error["row"]: (error["code"], error["attempts"]) for error in self.errors}


class Work:
    """One provider and one runner, and a directory for inputs and outputs."""

    def __init__(self, simulator: Simulator, runner: Runner, directory: Path) -> None:
        self.simulator = simulator
        self.runner = runner
        self.directory = directory

    @property
    def stats(self) -> Stats:
        return self.simulator.stats

    @staticmethod
    def now() -> float:
        """The virtual time, in seconds."""
        return asyncio.get_running_loop().time()

    def path(self, name: str) -> Path:
        return self.directory / name

    def write(self, texts: Sequence[str], name: str = "in.jsonl") -> str:
        """An input with these texts, and ids r0, r1, …"""
        path = self.path(name)
        rows = ({"id": f"r{number}", "text": text} for number, text in enumerate(texts))
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(path)

    def embed(self, texts: Sequence[str] | str, **settings: Any) -> JobSpec:
        """Embed texts, or a file; settings may name options of the kind, too."""
        options = {"text": "text"}
        for name in ("overlong", "dimensions"):
            if name in settings:
                options[name] = settings.pop(name)
        return self.kind("embed", texts, options, **{"model": EMBEDDER, **settings})

    def chat(self, texts: Sequence[str] | str, **settings: Any) -> JobSpec:
        """Answer texts, or a file."""
        prompt = self.path("prompt.txt")
        prompt.write_text("{{ text }}", encoding="utf-8")
        options: dict[str, Any] = {"prompt": str(prompt)}
        if "max_tokens" in settings:
            options["max_tokens"] = settings.pop("max_tokens")
        return self.kind("chat", texts, options, **settings)

    def classify(self, texts: Sequence[str] | str, **settings: Any) -> JobSpec:
        """Label texts, or a file."""
        options: dict[str, Any] = {"text": "text", "labels": LABELS}
        if "max_tokens" in settings:
            options["max_tokens"] = settings.pop("max_tokens")
        return self.kind("classify", texts, options, **settings)

    def kind(
        self, kind: str, texts: Sequence[str] | str, options: Mapping[str, Any], **settings: Any
    ) -> JobSpec:
        """Do something else to texts, or to a file."""
        given = {"id": "id", "base_url": self.simulator.base_url, "model": CHATTER, **settings}
        source = texts if isinstance(texts, str) else self.write(texts)
        return JobSpec(kind=kind, input=source, options=options, **given)

    async def run(
        self,
        spec: JobSpec,
        *,
        output: str = "out.jsonl",
        fresh: bool = False,
        overwrite: bool = False,
    ) -> Ran:
        """Run a job, and read what it wrote (a JSONL output; of others the files beside it)."""
        path = self.path(output)
        report = await self.runner.run(spec, output=str(path), fresh=fresh, overwrite=overwrite)
        return self.read(report, output)

    def read(self, report: Report, output: str = "out.jsonl") -> Ran:
        """A report with the files of its output."""
        manifest = self.path(f"{output}.manifest.json")
        return Ran(
            report=report,
            records=read_lines(self.path(output)) if output.endswith(".jsonl") else [],
            errors=read_lines(self.path(f"{output}.errors.jsonl")),
            manifest=json.loads(manifest.read_bytes()) if manifest.exists() else None,
        )


@asynccontextmanager
async def open_work(
    directory: Path,
    *,
    database: str = "memory://",
    lease_seconds: float = 30.0,
    token_factor: int = 1,
    **config: Any,
) -> AsyncIterator[Work]:
    """A provider (vectors of length 8 unless told otherwise) and a runner, in virtual time.

    ``token_factor``: how many tokens the provider counts for each of ours.
    """
    tokenizer = open_tokenizer(EMBEDDER)
    clock = LoopClock()
    async with (
        serve(
            SimulatorConfig(**{"dimensions": 8, **config}),
            count_tokens=lambda text: token_factor * tokenizer.count([text])[0],
            clock=clock.now,
            wall=clock.wall,
        ) as simulator,
        open_runner(
            Settings(database_url=database, lease_seconds=lease_seconds),
            clock=clock,
            chance=Random(7),
        ) as runner,
    ):
        yield Work(simulator, runner, directory)


async def cancelled_ever_later(work: Work, spec: JobSpec, turns: Iterator[int]) -> tuple[Ran, int]:
    """Cancel a job's run, and run it again, until it is over before it would be cancelled.

    It is cancelled after ever more ``turns`` of the loop, so that every await is hit sooner or
    later. Returns what the last run left, and how many were cancelled.
    """
    cancelled = 0
    while True:
        task = asyncio.create_task(work.run(spec))
        for _ in range(next(turns)):
            await asyncio.sleep(0)
            if task.done():
                break
        if not task.done():
            await asyncio.sleep(0.02 * cancelled)
        if task.done():
            return await task, cancelled
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled += 1


async def cut_off(work: Work, spec: JobSpec, soon: Callable[[], bool]) -> None:
    """Run a job, and cancel it as soon as that is so."""
    run = asyncio.create_task(work.run(spec))
    while not soon():
        await asyncio.sleep(0.01)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def state_of(work: Work, ran: Ran) -> str:
    """The job's state and the reason for it, as the store has them."""
    report = await work.runner.status(ran.report.job)
    return f"{report.status}: {report.reason}"


def nothing_written(work: Work) -> bool:
    """Whether there is no output of any kind."""
    return not list(work.directory.glob("out.*"))


def audit(work: Work, report: Report, *, halved: int = 0) -> None:
    """The job's books cover whatever the provider has done, and what it has done twice.

    The provider takes a part of a request that it has served for one more that is served twice:
    ``halved`` requests gave both of their results by two such parts.
    """
    stats = work.stats
    assert report.rows_done + report.rows_failed + report.rows_left == report.rows
    assert report.doubt_requests >= stats.requests_served_twice - halved
    assert report.doubt_inputs >= stats.inputs_served_twice
    assert report.doubt_tokens >= stats.tokens_served_twice
    counted = report.prompt_tokens + report.completion_tokens + report.doubt_tokens
    assert counted >= stats.prompt_tokens + stats.completion_tokens


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSONL file; none where there is no file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def numbered(count: int, marker: str = "") -> list[str]:
    """As many texts, each its own."""
    return [f"{marker} row {number}".strip() for number in range(count)]


def words(count: int, *, marker: str = "") -> Iterator[str]:
    """Texts that differ, each with a marker for the simulator."""
    return (f"{marker} text number {number} of some".strip() for number in range(count))


GOOD = tuple(words(7))
"""Texts that nothing is wrong with."""

MIXED = (*words(40), "", *words(3, marker="[[fault=400]]"), *words(30, marker="[[fault=500*1]]"))
"""Texts of which one is empty, three are refused, and thirty fail once."""
