"""SIGKILL of the real command, again and again: nothing lost, nothing doubled, everything admitted.

The faults are markers in the texts, so that the undisturbed run and the killed one meet the same
ones; the simulator is in this process and outlives every kill.
"""

from __future__ import annotations

import csv
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.crash.killing import Command, plan_of, reading

pytestmark = pytest.mark.process

ROWS = 1_600
CONCURRENCY = 16
REQUESTS = {"classify": ROWS, "embed": ROWS // 4}
FAULTS = {
    3: "[[fault=400]]",
    40: "[[fault=500*2]]",
    90: "[[fault=429*1]]",
    150: "[[fault=disconnect*1]]",
    333: "[[fault=garbage*1]]",
    500: "[[fault=hang*1]]",
    700: "[[fault=503*1]]",
    1_111: "[[fault=400]]",
    1_500: "[[fault=429*2]]",
}
KINDS = {
    "classify": ["classify", "--text", "body", "--labels", "red,green,blue", "--model", "gpt-4o"],
    "embed": ["embed", "--text", "body", "--model", "text-embedding-3-small", "--max-inputs", "4"],
}


def write_input(path: Path) -> None:
    """Rows of some length with an empty one, so that checking and planning take a while."""
    words = "parcel refund invoice login colour delay broken missing friendly question".split()
    chance = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "body"])
        for row in range(ROWS):
            body = f"ticket {row}: {' '.join(chance.choices(words, k=220))} {FAULTS.get(row, '')}"
            writer.writerow([f"T{row}", "" if row == 77 else body])


def moments(
    kind: str, simulator: Simulator, source: Path, database: Path, output: Path
) -> Iterator[Callable[[int], str | None]]:
    """When to kill, one after another: each phase, and sending at random counts of requests."""
    chance = random.Random(kind)

    def later(requests: int) -> Callable[[int], str | None]:
        target = simulator.stats.requests + requests
        return lambda pid: "sending" if simulator.stats.requests >= target else None

    def or_later(
        phase: Callable[[int], bool], name: str, requests: int
    ) -> Callable[[int], str | None]:
        missed = later(requests)
        return lambda pid: name if phase(pid) else missed(pid)

    def checking(pid: int) -> bool:
        return reading(pid, source) and plan_of(database)[0] < 0

    def planning(pid: int) -> bool:
        shards, planned = plan_of(database)
        return shards >= 1 and not planned

    def exporting(pid: int) -> str | None:
        return "exporting" if list(output.parent.glob(output.name + ".part-*")) else None

    yield or_later(checking, "checking", 20)
    yield or_later(planning, "planning", 20)
    for _ in range(8):
        yield later(chance.randint(1, REQUESTS[kind] // 12))
    yield exporting
    yield exporting


def read_errors(path: Path) -> list[dict[str, Any]]:
    """Dead letters without their attempts, which a crash may change."""
    letters = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {key: value for key, value in letter.items() if key != "attempts"} for letter in letters
    ]


@pytest.mark.parametrize(
    ("kind", "idempotency"), [("classify", False), ("embed", False), ("embed", True)]
)
async def test_killed_at_random_it_ends_as_if_undisturbed(
    kind: str, idempotency: bool, tmp_path: Path
) -> None:
    """Where the provider keeps answers for their keys, it bills what a kill lost but once."""
    source, output = tmp_path / "in.csv", tmp_path / "out.jsonl"
    write_input(source)
    arguments = [
        "run", *KINDS[kind], str(source), "-o", str(output), "--id", "id", "--quiet",
        "--concurrency", str(CONCURRENCY), "--timeout", "1.5", "--tpm", "100000000",
    ]  # fmt: skip
    config = SimulatorConfig(
        latency_ms=30, latency_spread=0.5, dimensions=256, idempotency=idempotency
    )
    async with serve(config) as simulator:
        calm = tmp_path / "calm"
        calm.mkdir()
        ending = await Command(calm, arguments, simulator).run()
        assert ending.code == 3, ending.stderr
        expected = output.read_bytes()
        expected_errors = read_errors(tmp_path / "out.jsonl.errors.jsonl")
        undisturbed = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
        faulty = undisturbed["billed_twice_at_most"]["inputs"]
        calmly = simulator.stats.snapshot()
        assert faulty >= calmly["inputs_served_twice"] > 0
        for path in tmp_path.glob("out.jsonl*"):
            path.unlink()
        simulator.reset()

        stormy = tmp_path / "stormy"
        stormy.mkdir()
        command = Command(stormy, arguments, simulator)
        database = stormy / ".batcher" / "batcher.db"
        for moment in moments(kind, simulator, source, database, output):
            ending = await command.run(kill_when=moment)
            assert ending.code in (-9, 3), ending.stderr
            if ending.code == 3:
                for path in tmp_path.glob("out.jsonl*"):
                    path.unlink()
        ending = await command.run()
        assert ending.code == 3, ending.stderr
        stats = simulator.stats.snapshot()

    assert output.read_bytes() == expected
    assert read_errors(tmp_path / "out.jsonl.errors.jsonl") == expected_errors
    phases = [kill.phase for kill in command.kills]
    assert len(phases) >= 10
    assert {"checking", "planning", "sending", "exporting"} <= set(phases)
    manifest = json.loads((tmp_path / "out.jsonl.manifest.json").read_text())
    assert manifest["rows"] == {"total": ROWS, "done": ROWS - 3, "failed": 3}

    admitted = manifest["billed_twice_at_most"]
    per_request = 4 if kind == "embed" else 1
    assert admitted["inputs"] >= stats["inputs_served_twice"]
    # One checkpoint interval: what can be sent in 250 ms at this concurrency and a latency of some
    # 25 ms, and one more.
    interval = math.ceil(0.25 * CONCURRENCY / 0.025) + 1
    sending = [kill for kill in command.kills if kill.phase in ("planning", "sending")]
    most = sum(kill.in_flight + interval for kill in sending)
    assert admitted["requests"] <= most + undisturbed["billed_twice_at_most"]["requests"] + 2
    assert admitted["inputs"] <= per_request * most + faulty + 2 * per_request
    if idempotency:
        # What was thrown away, an answer that was no JSON, is asked for anew; nothing else is.
        assert stats["inputs_served_twice"] == calmly["inputs_served_twice"] <= per_request
        kept = manifest["served_from_idempotency"]
        assert 0 < kept["requests"] <= stats["requests_replayed"]
        assert 0 < kept["inputs"] <= stats["inputs_replayed"]
        told = manifest["tokens"]["prompt"] + admitted["tokens"]
        assert manifest["tokens"]["prompt"] <= stats["tokens"]["prompt"] <= told


async def test_killed_while_results_are_carried_over_it_ends_as_if_undisturbed(
    tmp_path: Path,
) -> None:
    """Of thousands of rows a few are new; it is killed when some shards of them are planned."""
    source, output, database = (tmp_path / name for name in ("in.csv", "out.jsonl", "b.db"))
    arguments = [
        "run", *KINDS["embed"], str(source), "-o", str(output), "--id", "id", "--quiet",
        "--db", str(database), "--name", "nightly", "--since-last",
    ]  # fmt: skip
    rows = [(f"T{row}", f"ticket {row} {'of some length ' * 30}") for row in range(20_000)]
    async with serve(SimulatorConfig(dimensions=64)) as simulator:
        write_rows(source, rows)
        command = Command(tmp_path, arguments, simulator)
        assert (await command.run()).code == 0
        before, first = simulator.stats.inputs_served, shards_of(database)
        changed = [(id_, f"{body} changed") for id_, body in rows[::2_000]]
        write_rows(source, [*changed, *(row for row in reversed(rows) if row not in rows[::2_000])])
        for more in (1, 3, 5):
            await command.run(kill_when=planned(database, first + more))
        assert [kill.phase for kill in command.kills].count("planning") >= 2
        assert (await command.run()).code == 0

        manifest = json.loads(Path(f"{output}.manifest.json").read_bytes())
        assert manifest["incremental"]["carried_over"] == 19_990
        assert manifest["incremental"]["changed"] == 10
        doubt = manifest["billed_twice_at_most"]["inputs"]
        assert 10 <= simulator.stats.inputs_served - before <= 10 + doubt
        full = tmp_path / "full.jsonl"
        arguments[arguments.index(str(output))] = str(full)
        again = [*arguments[: arguments.index("--name")], "--fresh"]
        assert (await Command(tmp_path, again, simulator).run()).code == 0
        assert full.read_bytes() == output.read_bytes()


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "body"), *rows])


def shards_of(database: Path) -> int:
    return plan_of(database)[0]


def planned(database: Path, shards: int) -> Callable[[int], str | None]:
    """Kill when there are so many shards."""
    return lambda pid: "planning" if shards_of(database) >= shards else None
