"""What ``batcher status`` says of a job whose process was killed, and of one that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.system.job_lock import job_lock, job_owner
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Cli

pytestmark = pytest.mark.process


def test_status_says_whether_a_process_runs_a_job_and_how_to_go_on(cli: Cli) -> None:
    cli.write("many.csv", "body\n" + "".join(f"text {n}\n" for n in range(300)))
    command = ["run", "chat", "many.csv", "--text", "body", "-m", "gpt-6-luna", "--simulate"]
    slow = [*command, "-o", "out.csv", "--rpm", "60"]
    with subprocess.Popen([sys.executable, "-m", "batcher", *slow, "-q"]) as process:
        running = ""

        def runs() -> bool:
            nonlocal running
            running = cli("status").stdout
            return "running it now" in running

        wait_until(runs, "that the job runs")
        os.kill(process.pid, signal.SIGKILL)
    killed = cli("status").stdout

    job = cli.job()
    assert f"Process {process.pid} of this machine is running it now" in running
    assert f"  batcher watch {job}\n" in running
    assert "No process is running it: it was interrupted, or waits for a worker.\n" in killed
    assert " of 300 rows are done and kept. The same command goes on with the rest:\n" in killed
    assert "  batcher run chat many.csv -o out.csv --model gpt-6-luna --text body" in killed
    assert "batcher worker" not in killed


def test_status_of_a_submitted_job_names_the_worker_as_well(cli: Cli) -> None:
    cli("submit", "chat", "tickets.csv", "--text", "body", "-m", "m", "-o", "out.csv")
    assert cli("status").stdout.endswith(
        "or a worker does, which delivers the results as well:\n  batcher worker\n"
    )


def test_to_look_who_holds_a_lock_never_keeps_anybody_from_it(tmp_path: Path) -> None:
    assert job_owner(tmp_path, "j") == ""
    with job_lock(tmp_path, "j"):
        assert job_owner(tmp_path, "j") == str(os.getpid())
    assert job_owner(tmp_path, "j") == ""
    looks = "\n".join(
        (
            "import sys, time, pathlib",
            "from batcher.adapters.system.job_lock import job_owner",
            "end = time.monotonic() + 2",
            "while time.monotonic() < end: job_owner(pathlib.Path(sys.argv[1]), 'j')",
        )
    )
    with subprocess.Popen([sys.executable, "-c", looks, str(tmp_path)]) as process:
        while process.poll() is None:
            with job_lock(tmp_path, "j"):
                pass
