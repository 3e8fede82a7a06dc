"""Deliveries of real workers: whoever is killed in the middle of one, the file is whole or absent.

A destination of the tests' own writes slowly enough for a test to see it at work.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from batcher.core.job.delivery import DeliverySpec
from batcher.engine.job.delivery_report import DeliveryReport
from batcher.engine.runner import Runner
from batcher.ports import Event
from batcher.settings import Settings
from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.examples.installing import install
from tests.fleet.harness import Fleet, classifying, fleet_of, letters, tickets, undisturbed
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.process

ROWS = 400
SLOWLY = """
import time
from dataclasses import replace

from batcher.adapters.destinations import open_sink
from batcher.adapters.destinations.opening import FileDestinations


class Slow(FileDestinations):
    def open(self, wanted):
        sink = open_sink(
            wanted.address, format="jsonl", schema=wanted.schema, seen=wanted.seen
        )
        commit = sink.commit

        def commit_slowly():
            time.sleep(3)
            commit()

        sink.commit = commit_slowly
        return sink


DESTINATION = Slow()
"""


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with serve(SimulatorConfig(latency_ms=10)) as running:
        yield running


async def deliverer_of(fleet: Fleet, output: Path) -> int:
    """The number of the worker that writes the output just now."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            for part in output.parent.glob(f"{output.name}.part-*"):
                pid = int(part.name.split(".part-")[1].split("-")[0])
                for number, process in fleet.workers.items():
                    if process.pid == pid:
                        return number
            await asyncio.sleep(0.02)


async def delivered(runner: Runner, job: str) -> DeliveryReport:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            delivery = (await runner.status(job)).delivery
            assert delivery is not None
            if delivery.status == "delivered":
                return delivery
            await asyncio.sleep(0.1)


async def test_a_worker_killed_while_it_delivers_is_replaced_and_the_file_is_whole_or_absent(
    tmp_path: Path, settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path / "packages", "slowly", SLOWLY,
        group="batcher.destinations", entries={".slow.jsonl": "DESTINATION"},
    )  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    (tmp_path / "in.csv").write_text(tickets(ROWS) + "bad,[[fault=400]] ticket\n")
    spec = classifying(tmp_path / "in.csv", simulator)
    calm = await undisturbed(spec, tmp_path / "calm.jsonl")
    output = tmp_path / "out.slow.jsonl"
    async with fleet_of((1, 2, 3), tmp_path, settings, simulator) as (fleet, runner):
        report = await runner.submit(spec, delivery=DeliverySpec(output=str(output)))
        for _ in range(2):
            await fleet.kill(await deliverer_of(fleet, output))
            assert not output.exists()
            assert list(tmp_path.glob("out.slow.jsonl.part-*"))
        delivery = await delivered(runner, report.job)

        assert (output.read_bytes(), letters(output)) == calm
        assert delivery.attempts == 3
        names = sorted(path.name for path in tmp_path.glob("out.slow.jsonl*"))
        beside = ["", ".errors.jsonl", ".manifest.json"]
        assert names == [f"out.slow.jsonl{suffix}" for suffix in beside]
        assert sorted(delivery.files) == [str(tmp_path / name) for name in names]
        assert len(fleet.events(Event.JOB_DELIVERED)) == 1


async def test_a_worker_that_ends_in_good_order_leaves_the_delivery_to_others_at_once(
    tmp_path: Path, settings: Settings, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(
        tmp_path / "packages", "slowly", SLOWLY,
        group="batcher.destinations", entries={".slow.jsonl": "DESTINATION"},
    )  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    (tmp_path / "in.csv").write_text(tickets(ROWS))
    output = tmp_path / "out.slow.jsonl"
    async with fleet_of((1, 2), tmp_path, settings, simulator) as (fleet, runner):
        spec = classifying(tmp_path / "in.csv", simulator)
        report = await runner.submit(spec, delivery=DeliverySpec(output=str(output)))
        await fleet.stop(await deliverer_of(fleet, output))
        delivery = await delivered(runner, report.job)
        assert delivery.attempts == 1
        assert len(output.read_bytes().splitlines()) == ROWS
        assert not list(tmp_path.glob("*.part-*"))
