"""The example of a source and a destination in a package of its own: tried, installed, and used."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import sqlite3
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.destinations.testing import check_destination
from batcher.adapters.sources.testing import check_source
from batcher.adapters.system.clock import SystemClock
from batcher.core.errors import InputError, UsageError
from batcher.ports import SourceRequest
from tests.examples.installing import install, install_package
from tests.waiting import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "sqlite"
ROWS = 12_000
"""More than a destination that can go on flushes at a time, twice."""


def load() -> Any:
    spec = importlib.util.spec_from_file_location("connectors", EXAMPLE / "batcher_sqlite.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE tickets (id TEXT, body TEXT)")
        values = [(f"T{row}", f"ticket {row}") for row in range(rows)]
        database.executemany("INSERT INTO tickets VALUES (?, ?)", values)
        database.commit()


def read(path: Path, query: str) -> list[tuple[Any, ...]]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


async def test_its_source_keeps_the_contract(tmp_path: Path) -> None:
    fill(tmp_path / "in.db", 2_500)
    wanted = SourceRequest(
        address=f"sqlite://{tmp_path}/in.db?table=tickets",
        spool_dir=tmp_path / "spool",
        clock=SystemClock(),
    )
    facts = await check_source(load().SOURCE, wanted, id_column="id")
    assert (facts.rows, facts.columns) == (2_500, ("id", "body"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sqlite://{place}/none.db?table=t", "no such file"),
        ("sqlite://{place}/in.db?table=t", "no such table"),
        ("sqlite://{place}/in.db", "is not like"),
    ],
)
async def test_its_source_says_what_is_wrong(tmp_path: Path, address: str, said: str) -> None:
    fill(tmp_path / "in.db", 3)
    wanted = SourceRequest(
        address=address.format(place=tmp_path), spool_dir=tmp_path, clock=SystemClock()
    )
    with pytest.raises((InputError, UsageError), match=said):
        await load().SOURCE.open(wanted)


def test_its_destination_keeps_the_contract(tmp_path: Path) -> None:
    places = count()

    def ids(address: str) -> list[str]:
        path = Path(address.removeprefix("sqlite://").partition("?")[0])
        tables = read(path, "SELECT name FROM sqlite_master WHERE name = 'labels'")
        return [id_ for (id_,) in read(path, "SELECT id FROM labels")] if tables else []

    def address() -> str:
        return f"sqlite://{tmp_path}/{next(places)}.db?table=labels"

    check_destination(load().DESTINATION, address, ids)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    return install_package(EXAMPLE, tmp_path_factory.mktemp("installed"))


async def batcher(place: Path, *arguments: str) -> str:
    """Run a command to its end, which must be a good one; what it says."""
    process = await begun(place, *arguments)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


async def begun(place: Path, *arguments: str) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if "BATCHER" not in name}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher", *arguments),
        cwd=place,
        env={**environment, "BATCHER_SIMULATE": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


SLOW = """
import time

from batcher_sqlite import Table, Upserts


class SlowTable(Table):
    def write(self, batch):
        time.sleep(0.5)
        super().write(batch)


class Slow(Upserts):
    def open(self, wanted):
        return SlowTable(wanted)


DESTINATION = Slow()
"""

CLASSIFY = ("--id", "id", "--text", "body", "--labels", "a,b", "--model", "gpt-4o-mini")


@pytest.mark.process
async def test_it_is_installed_and_used_from_the_command_line(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    fill(tmp_path / "tickets.db", 40)
    job = ("run", "classify", "sqlite://tickets.db?table=tickets", *CLASSIFY, "--quiet")
    to = ("-o", "sqlite://labels.db?table=labels")
    await batcher(tmp_path, *job, *to)
    labels = tmp_path / "labels.db"
    rows = read(labels, "SELECT id, row, label FROM labels ORDER BY row")
    assert [(id_, row) for id_, row, _ in rows] == [(f"T{row}", row) for row in range(40)]
    assert {label for _, _, label in rows} <= {"a", "b"}
    ((manifest,),) = read(labels, "SELECT manifest FROM labels_runs")
    assert json.loads(manifest)["rows"] == {"total": 40, "done": 40, "failed": 0}
    assert not list(tmp_path.glob("*.manifest.json"))

    again = json.loads(await batcher(tmp_path, *job, *to, "--json"))
    assert again["sent_nothing"]
    assert again["input"] == "sqlite://tickets.db"
    assert again["last_output"] == "sqlite://labels.db"
    assert read(labels, "SELECT id, row, label FROM labels ORDER BY row") == rows
    assert len(read(labels, "SELECT job FROM labels_runs")) == 1


@pytest.mark.process
async def test_a_worker_goes_on_where_one_was_killed_that_delivered_to_it(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    install(slow, "slow", SLOW, group="batcher.destinations", entries={"slow": "DESTINATION"})
    monkeypatch.setenv("PYTHONPATH", f"{slow}{os.pathsep}{installed}")
    (tmp_path / "in.csv").write_text(
        "id,body\n" + "".join(f"T{row},ticket {row}\n" for row in range(ROWS))
    )
    labels = tmp_path / "labels.db"
    job = ("embed", "in.csv", "--id", "id", "--text", "body", "--model", "text-embedding-3-small")
    submitted = await batcher(
        tmp_path, "submit", *job, "--param", "dimensions=4", "--quiet",
        "-o", "slow://labels.db?table=vectors",
    )  # fmt: skip
    name = submitted.split()[0]
    worker = ("worker", "--lease-seconds", "2")
    first = await begun(tmp_path, *worker)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await delivered_rows(tmp_path):
                await asyncio.sleep(0.01)
        first.send_signal(signal.SIGKILL)
        await first.wait()
        reached = await delivered_rows(tmp_path)
        assert 0 < reached < ROWS
        there = len(read(labels, "SELECT id FROM vectors"))
        assert reached <= there < ROWS

        second = await begun(tmp_path, *worker)
        try:
            watch = await begun(tmp_path, "watch", name, "--json")
            said, _ = await asyncio.wait_for(watch.communicate(), PATIENCE_SECONDS)
            assert watch.returncode == 0, said.decode()
        finally:
            second.terminate()
            await second.wait()
    finally:
        if first.returncode is None:
            first.kill()
            await first.wait()
    assert read(labels, "SELECT count(*), count(DISTINCT id) FROM vectors") == [(ROWS, ROWS)]
    assert len(read(labels, "SELECT job FROM vectors_runs")) == 1


async def delivered_rows(place: Path) -> int:
    """How far the database knows the delivery to be."""
    database = place / ".batcher" / "batcher.db"
    (row,) = await asyncio.to_thread(read, database, "SELECT cursor FROM delivery")
    return int(row[0])
