"""Workers at work in a test, what they log, and the wait for what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from batcher.engine.fleet.worker import FleetWorker
from batcher.ports import Event, Fact
from batcher.settings import Settings
from batcher.wiring import open_fleet
from tests.engine.virtual_time import LoopClock
from tests.engine.workbench import Ran, Work


class Events:
    """What workers have logged."""

    def __init__(self) -> None:
        self.told: list[tuple[Event, dict[str, Fact]]] = []

    def __call__(self, event: Event, /, **facts: Fact) -> None:
        self.told.append((event, facts))

    def of(self, event: Event) -> list[dict[str, Fact]]:
        return [facts for name, facts in self.told if name is event]


@asynccontextmanager
async def worker(
    database: str,
    events: Events | None = None,
    concurrency: int | None = None,
    **allowed: tuple[str, ...],
) -> AsyncIterator[FleetWorker]:
    """A worker at work; stopped in good order at the end. ``allowed`` are of its settings."""
    settings = replace(Settings(database_url=database, lease_seconds=30.0), **allowed)  # type: ignore[arg-type]
    async with (
        open_fleet(
            settings,
            log=events or Events(),
            clock=LoopClock(),
            chance=Random(3),
            concurrency=concurrency,
        ) as fleet,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(fleet.run())
        try:
            yield fleet
        finally:
            fleet.stop()


async def completed(work: Work, job: str) -> Ran:
    """Wait for a job's end, and export it."""
    while (await work.runner.status(job)).status not in ("complete", "paused"):
        await asyncio.sleep(0.5)
    output = f"fleet-{job}.jsonl"
    report = await work.runner.export(job, output=str(work.path(output)), partial=True)
    return work.read(report, output)
