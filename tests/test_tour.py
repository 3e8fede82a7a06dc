"""``scripts/fleet`` shows a fleet at work, and leaves no process behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.waiting import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes there"),
]

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def start(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """The tour; all that it starts has the directory in its environment, and ends with the test."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHER_")}
    with subprocess.Popen(
        [str(ROOT / "scripts/fleet")],
        env=environment | {"FLEET_DIRECTORY": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as tour:
        try:
            yield tour
        finally:
            if tour.poll() is None:
                tour.terminate()
                tour.communicate(timeout=PATIENCE_SECONDS)


def started_by(directory: Path) -> set[str]:
    """The names of the processes that the tour started and that live.

    Valkey writes its title over its environment; the shell that keeps it lives as long as it does.
    """
    mark, found = f"FLEET_DIRECTORY={directory}\0".encode(), set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.add((process / "comm").read_text().strip())
        except OSError:
            continue  # it has ended meanwhile, or is somebody else's
    return found


def wait_until_none_lives(directory: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while alive := started_by(directory):
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)


def test_the_tour_labels_every_ticket(tmp_path: Path) -> None:
    with start(tmp_path) as tour:
        said, _ = tour.communicate(timeout=PATIENCE_SECONDS)

    assert tour.returncode == 0, said
    records = [json.loads(line) for line in (tmp_path / "tickets.jsonl").read_text().splitlines()]
    assert [record["row"] for record in records] == list(range(360))
    manifest = json.loads((tmp_path / "tickets.jsonl.manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["billed_twice_at_most"]["requests"] == 0
    assert said.count("  alive  ") == 2
    assert said.count("worker.stopped") == 2
    assert "status=complete" in said
    wait_until_none_lives(tmp_path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_tour_that_is_ended_early_ends_all_that_it_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    with start(tmp_path) as tour:
        wait_until_served(tour, tmp_path)
        assert {"postgres", "honcho", "batcher", "sh"} <= started_by(tmp_path)
        tour.send_signal(number)
        said, _ = tour.communicate(timeout=PATIENCE_SECONDS)

    assert tour.returncode == 128 + number, said
    assert not (tmp_path / "tickets.jsonl").exists()
    wait_until_none_lives(tmp_path)


def test_a_tour_whose_reader_goes_away_ends_as_well(tmp_path: Path) -> None:
    with start(tmp_path) as tour:
        wait_until_served(tour, tmp_path)
        assert tour.stdout is not None
        tour.stdout.close()
        assert tour.wait(PATIENCE_SECONDS) != 0
    wait_until_none_lives(tmp_path)


def wait_until_served(tour: subprocess.Popen[str], directory: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "job.served" not in read(directory / "processes.log"):
        assert tour.poll() is None
        assert time.monotonic() < deadline, read(directory / "processes.log")
        time.sleep(0.05)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
