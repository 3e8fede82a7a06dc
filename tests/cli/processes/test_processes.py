"""Real processes: signals, pipes, and two runs of one job."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from batcher.simulator import Simulator, SimulatorConfig
from tests.cli.provider import provider
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.process

ROWS = 200
BATCHER = [sys.executable, "-m", "batcher"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    rows = "".join(f"a{n},text number {n}\n" for n in range(ROWS))
    (tmp_path / "in.csv").write_text(f"id,body\n{rows}")
    return tmp_path


@pytest.fixture
def slow() -> Iterator[Simulator]:
    """A provider that takes a while for each answer."""
    with provider(SimulatorConfig(latency_ms=1500)) as simulator:
        yield simulator


def start(
    directory: Path,
    *arguments: str,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Process:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHER_")}
    environment["OPENAI_API_KEY"] = "sk-test"
    return subprocess.Popen(
        [*BATCHER, *arguments],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )


Process = subprocess.Popen[bytes]


def start_run(
    directory: Path,
    simulator: Simulator,
    *more: str,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> Process:
    return start(
        directory, "run", "classify", "in.csv", "-o", "out.jsonl", "--text", "body",
        "--labels", "a,b", "--model", "gpt-4.1-mini", "--base-url", simulator.base_url, *more,
        stderr=stderr,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_settles_what_is_in_flight_and_says_how_to_go_on(
    directory: Path, slow: Simulator, number: signal.Signals
) -> None:
    running = start_run(directory, slow, "--json", "--grace-seconds", "600")
    wait_until(lambda: slow.stats.in_flight > 10, "requests in flight")
    sent = slow.stats.requests
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=PATIENCE_SECONDS)

    assert running.returncode == 130
    said = stderr.decode()
    assert "stopping: waiting for " in said
    assert "(up to 10 min 00 s); press Ctrl-C again to stop at once" in said
    assert "To go on, run the same command again:\n  batcher run classify in.csv -o out" in said
    report = json.loads(stdout)
    assert report["status"] == "interrupted"
    assert report["billed_twice_at_most"]["requests"] == 0
    assert report["rows"]["done"] == report["requests"] == slow.stats.requests >= sent
    assert not (directory / "out.jsonl").exists()

    slow.configure(latency_ms=0)
    again = start_run(directory, slow)
    again.communicate(timeout=PATIENCE_SECONDS)

    assert again.returncode == 0
    assert len((directory / "out.jsonl").read_text().splitlines()) == ROWS
    assert slow.stats.inputs_served_twice == 0


def test_a_second_signal_stops_at_once(directory: Path) -> None:
    said = directory / "said"
    hour = SimulatorConfig(latency_ms=3_600_000)
    with provider(hour) as simulator, said.open("wb") as stderr:
        running = start_run(directory, simulator, "--grace-seconds", "3600", stderr=stderr)
        wait_until(lambda: simulator.stats.in_flight > 0, "a request in flight")
        running.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping: waiting for " in said.read_text(), "that it settles")
        assert running.poll() is None
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=PATIENCE_SECONDS)

    assert running.returncode == 130


def test_a_signal_while_the_input_is_checked_ends_the_command(directory: Path) -> None:
    os.mkfifo(directory / "pipe.csv")
    running = start(directory, "estimate", "embed", "pipe.csv", "--text", "body", "--model", "m")
    writer = os.open(directory / "pipe.csv", os.O_WRONLY)  # returns when it is being read
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=PATIENCE_SECONDS)

    os.close(writer)

    assert running.returncode == 130


def test_two_runs_of_one_job_at_once_refuse_and_name_the_process(
    directory: Path,
) -> None:
    with provider(SimulatorConfig(latency_ms=3_600_000)) as slow:
        first = start_run(directory, slow)
        wait_until(lambda: slow.stats.in_flight > 0, "a request in flight")
        second = start_run(directory, slow)
        _, stderr = second.communicate(timeout=PATIENCE_SECONDS)
        first.kill()
        first.communicate()

    assert second.returncode == 2
    assert f"is being run by process {first.pid}: wait for it, or end it first" in stderr.decode()


def test_a_reader_that_goes_away_is_no_reason_for_complaints(directory: Path) -> None:
    with provider() as simulator:
        start_run(directory, simulator).communicate(timeout=PATIENCE_SECONDS)
        job = json.loads(
            start(directory, "jobs", "--json").communicate(timeout=PATIENCE_SECONDS)[0]
        )[0]["job"]
        work = ["classify", "in.csv", "--text", "body", "--labels", "a,b", "--model", "m"]
        for command in (
            ["--help"],
            ["jobs", "--json"],
            ["status", job],
            ["estimate", *work, "--json"],
            ["export", job, "-o", "-", "--output-format", "jsonl"],
            ["export", job, "-o", "-", "--output-format", "parquet"],
            ["run", *work, "--simulate", "--quiet", "-o", "-", "--output-format", "csv"],
            ["simulate", "--faults"],
        ):
            read, write = os.pipe()
            os.close(read)
            with os.fdopen(write, "wb") as gone:
                process = start(directory, *command, stdout=gone)
                _, stderr = process.communicate(timeout=PATIENCE_SECONDS)
            assert process.returncode == 141, command
            assert stderr == b"", command


def test_a_run_goes_on_without_anybody_to_watch_it(directory: Path) -> None:
    with provider() as simulator:
        running = start_run(directory, simulator)
        assert running.stderr is not None
        assert running.stdout is not None
        running.stderr.close()
        running.stdout.close()
        assert running.wait(timeout=PATIENCE_SECONDS) == 0

    assert len((directory / "out.jsonl").read_text().splitlines()) == ROWS


def test_a_run_needs_no_standard_streams(directory: Path) -> None:
    with provider() as simulator:
        command = [
            *BATCHER, "run", "embed", "in.csv", "-o", "out.npy", "--text", "body",
            "--model", "m", "--base-url", simulator.base_url,
        ]  # fmt: skip
        ran = subprocess.run(
            ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], cwd=directory, check=False
        )

    assert ran.returncode == 0
    assert (directory / "out.npy").exists()


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["status", "none"], 2)])
def test_a_process_ends_when_all_that_others_registered_is_done(
    directory: Path, arguments: list[str], code: int
) -> None:
    program = (
        "import atexit, sys, threading, time\n"
        "from batcher.cli import main\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('thread'))).start()\n"
        "sys.argv[0] = 'batcher'\n"
        "try: main()\n"
        "finally: atexit.register(print, 'registered', end='')\n"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stdout.endswith("registered")
    assert "thread\n" in done.stdout


def test_an_unforeseen_error_is_one_line_and_shows_no_content(directory: Path) -> None:
    code = (
        "import batcher.cli.commands.jobs.listing as jobs, batcher.cli.root as root\n"
        "def fail(*_): raise KeyError('a row of the input')\n"
        "jobs.with_runner = fail\n"
        "root.root.main(['jobs'], 'batcher')\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "BATCHER_DEBUG"}
    short, long = (
        subprocess.run(
            [sys.executable, "-c", code], cwd=directory, env=env, capture_output=True, text=True
        )
        for env in (environment, environment | {"BATCHER_DEBUG": "1"})
    )

    assert (short.returncode, short.stdout) == (1, "")
    assert "error: unforeseen: KeyError in <string>:2" in short.stderr
    assert "BATCHER_DEBUG=1" in short.stderr
    assert "a row of the input" not in short.stderr
    assert "Traceback" not in short.stderr
    assert "Traceback" in long.stderr


def test_the_simulator_says_where_it_is_and_what_it_saw(directory: Path) -> None:
    port_file = directory / "port"
    simulating = start(
        directory, "simulate", "--rpm", "6000", "--errors", "0.1", "--port-file", str(port_file),
        "--json",
    )  # fmt: skip
    wait_until(port_file.exists, "a port")
    base_url = f"http://127.0.0.1:{port_file.read_text().strip()}/v1"
    run = start(
        directory, "run", "embed", "in.csv", "-o", "out.npy", "--text", "body",
        "--model", "text-embedding-3-small", "--base-url", base_url,
    )  # fmt: skip
    run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == 0
    simulating.send_signal(signal.SIGTERM)
    stdout, stderr = simulating.communicate(timeout=PATIENCE_SECONDS)

    assert simulating.returncode == 0
    first, last = (json.loads(line) for line in stdout.splitlines())
    assert first == {"base_url": base_url}
    assert last["stats"]["distinct_inputs"] == ROWS
    said = stderr.decode()
    assert f"simulating a provider at {base_url} (Ctrl-C ends it); to use it:" in said
    assert ": 200 texts or prompts (0 of these equal to an earlier one), " in said
    total, ends = re.search(r"^([\d,]+) requests?: (.*)$", said, re.M).groups()  # type: ignore[union-attr]
    assert int(total) == sum(int(end.split()[0]) for end in ends.split(", "))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "the simulator listens on this machine alone"),
        (["--errors", "2"], "--errors must be between 0 and 1"),
        (["--rpm", "0"], "--rpm must be above 0"),
        (["--outage", "maybe"], "'maybe' is not one of"),
        (["--tokenizer", "nothing"], "nothing"),
    ],
)
def test_the_simulator_refuses_what_it_cannot_be(
    directory: Path, arguments: list[str], message: str
) -> None:
    refused = start(directory, "simulate", *arguments)
    _, stderr = refused.communicate(timeout=PATIENCE_SECONDS)

    assert refused.returncode == 2
    assert message in stderr.decode()
