"""One machine needs no Redis: a worker over SQLite finds submitted jobs and schedules by itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.jobs.test_run import EMBED
from tests.waiting import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Cli

JOB = """
kind = "embed"
input = "tickets.csv"
text = "body"
model = "text-embedding-3-small"
simulate = true
"""
NEVER_SOON = "0 0 29 2 *"
NOBODY = "no worker is alive: {} until `batcher worker` is started on this database"


@contextmanager
def working(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of that folder's database, without any setting."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHER_")}
    command = [sys.executable, "-m", "batcher", "worker"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_for(cli: Cli, jobs: int) -> list[dict[str, Any]]:
    """The jobs, once so many are complete."""
    deadline = time.monotonic() + 2 * PATIENCE_SECONDS
    while True:
        listed: list[dict[str, Any]] = cli("jobs", "--json", "--state", "complete").json
        if len(listed) == jobs:
            return listed
        assert time.monotonic() < deadline, cli.read("log")
        time.sleep(0.2)


@pytest.mark.process
def test_a_worker_over_sqlite_does_what_is_submitted_and_scheduled(cli: Cli) -> None:
    submitted = cli("submit", *EMBED[1:], "--simulate")
    assert submitted.code == 0
    assert submitted.stderr.splitlines()[0] == NOBODY.format("nothing is sent")
    cli.write("job.toml", JOB)
    added = cli("schedule", "add", NEVER_SOON, "job.toml", "--name", "leap")
    assert added.code == 0
    assert added.stderr.splitlines()[0] == NOBODY.format("it will not be run")
    assert cli("schedule", "run", "leap").code == 0

    with working(cli.directory) as process:
        by_schedule, by_hand = wait_for(cli, 2)
        again = cli("schedule", "add", NEVER_SOON, "job.toml", "--name", "other")
        more = cli("submit", *EMBED[1:], "--simulate", "--fresh")
        wait_for(cli, 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0

    assert by_hand["job"] == submitted.stdout.strip()
    assert (by_schedule["schedule"], by_schedule["rows"]["done"]) == ("leap", 3)
    assert "no worker" not in again.stderr + more.stderr
    events = [json.loads(line)["event"] for line in cli.read("log").splitlines()]
    assert not any(event.startswith("queue.") for event in events)
    assert events[-1] == "worker.stopped"


def test_workers_of_a_shared_database_need_a_redis(cli: Cli) -> None:
    refused = cli("worker", "--db", "postgresql://me@nowhere.example/jobs")
    assert refused.code == 2
    assert refused.stderr.startswith("error: a worker on Postgres needs Redis")
