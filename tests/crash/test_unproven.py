"""SIGKILL while the only answer of an embedding job has vectors of a wrong length."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from batcher.simulator import SimulatorConfig, serve
from tests.crash.killing import Command

pytestmark = pytest.mark.process

ROWS = 16


def events_of(database: Path) -> list[str]:
    """The events of all checkpoints, as they are stored; none while there is no database."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return [text for (text,) in connection.execute("SELECT event FROM checkpoint")]
    except sqlite3.Error:
        return []


def kill_once(database: Path, mark: str) -> Callable[[int], str | None]:
    """Kill when an event with this mark is committed; every twentieth call looks."""
    calls = count()

    def look(pid: int) -> str | None:
        del pid
        seen = next(calls) % 20 == 0 and any(mark in text for text in events_of(database))
        return mark if seen else None

    return look


@pytest.mark.parametrize("marks", [['"u":128'], ['"u":128', '"o":']])
async def test_a_wrong_first_answer_survives_no_crash_in_between(
    tmp_path: Path, marks: list[str]
) -> None:
    """Killed once it is committed, and again once it is taken back."""
    source, output = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"text": f"text {row}" + (" [[fault=other_model*1]]" * (row == 0))} for row in range(ROWS)
    ]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = [
        "run", "embed", str(source), "-o", str(output), "--text", "text", "--quiet",
        "--model", "text-embedding-3-small", "--max-inputs", "1", "--concurrency", "1",
    ]  # fmt: skip
    async with serve(SimulatorConfig(latency_ms=150, dimensions=256)) as simulator:
        command = Command(tmp_path, arguments, simulator)
        database = tmp_path / ".batcher" / "batcher.db"
        for mark in marks:
            ending = await command.run(kill_when=kill_once(database, mark))
            assert ending.code == -9, ending.stderr
        ending = await command.run()
        assert ending.code == 0, ending.stderr
        stats = simulator.stats.snapshot()

    records = [json.loads(line) for line in output.read_text().splitlines()]
    assert [record["row"] for record in records] == list(range(ROWS))
    assert {len(record["embedding"]) for record in records} == {256}
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["rows"] == {"total": ROWS, "done": ROWS, "failed": 0}
    assert manifest["billed_twice_at_most"]["requests"] >= stats["inputs_served_twice"] >= 1
