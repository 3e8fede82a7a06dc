"""``batcher schedule`` and ``batcher submit --server-side``, with a worker beside the commands."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from batcher.cli.commands.submit import Waiting
from batcher.core.job.spec import JobSpec
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.cli.conftest import Cli
from tests.cli.worker_beside import a_worker
from tests.waiting import PATIENCE_SECONDS, wait_until

JOB = """
kind = "embed"
input = "tickets.csv"
output = "vectors.jsonl"
text = "body"
model = "text-embedding-3-small"
simulate = true
"""
SUBMIT = ("submit", "embed", "tickets.csv", "--text", "body", "--model", "m", "--simulate")
pytestmark = pytest.mark.process
NEVER_SOON = "0 3 29 2 *"


@pytest.fixture
def job(cli: Cli) -> str:
    return cli.write("job.toml", JOB)


def wait_until_complete(cli: Cli, jobs: int = 1) -> None:
    def complete() -> bool:
        return [job["status"] for job in cli("jobs", "--json").json] == ["complete"] * jobs

    wait_until(complete, "jobs that are complete")


# --- schedules --------------------------------------------------------------------------------


def test_a_schedule_is_added_listed_paused_resumed_and_removed(cli: Cli, job: str) -> None:
    added = cli("schedule", "add", NEVER_SOON, job, "--name", "leap", "--timezone", "Asia/Kolkata")
    assert (added.code, added.stdout) == (0, "")
    assert "schedule leap is due next at " in added.stderr
    assert "-02-29 03:00 IST" in added.stderr
    assert "workers deliver its results to vectors.jsonl" in added.stderr

    heading, row = cli("schedule", "list").stdout.splitlines()
    assert heading.split() == "NAME CRON TIMEZONE NEXT LAST OUTCOME JOB STATUS".split()
    assert row.startswith("leap  0 3 29 2 *  Asia/Kolkata  2028-02-29 03:00 IST")

    assert cli("schedule", "pause", "leap").stderr == "schedule leap is paused\n"
    assert "  paused  " in cli("schedule", "list").stdout
    assert cli("schedule", "list", "--json").json[0]["next_due"] is None
    assert "due next at 2028-02-29 03:00 IST" in cli("schedule", "resume", "leap").stderr

    assert cli("schedule", "remove", "leap").code == 0
    listed = cli("schedule", "list")
    assert (listed.stdout, listed.stderr[:16]) == ("", "no schedules yet")


def test_what_was_said_is_kept(cli: Cli, job: str) -> None:
    added = cli("schedule", "add", NEVER_SOON, job, "--missed", "skip", "--overlap", "--json")
    assert added.json == cli("schedule", "list", "--json").json[0]
    assert added.json | {"created_at": None} == {
        "schedule": "job",
        "cron": NEVER_SOON,
        "timezone": "UTC",
        "kind": "embed",
        "model": "text-embedding-3-small",
        "input": "tickets.csv",
        "output": "vectors.jsonl",
        "missed": "skip",
        "overlap": True,
        "paused": False,
        "next_due": "2028-02-29T03:00:00Z",
        "created_at": None,
        "firings": [],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["61 3 * * *", "job.toml"], "not a cron expression"),
        (["0 3 * * *", "job.toml", "--timezone", "Europe/Berln"], "did you mean Europe/Berlin?"),
        (["0 3 * * *", "nowhere.toml"], "there is no such job file"),
        (["0 3 * * *", "job.toml", "--name", "two words"], "not a name for a schedule"),
        (["0 3 * * *", "job.toml", "--missed", "twice"], "--missed"),
        (["0 3 * * *", "stdin.toml"], "standard input"),
        (["0 3 * * *", "stdout.toml"], "workers have no standard output"),
        (["0 3 * * *", "file.toml"], "--prompt nowhere.txt cannot be read"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said_and_nothing_is_kept(
    cli: Cli, job: str, arguments: list[str], said: str
) -> None:
    cli.write("stdin.toml", JOB.replace('"tickets.csv"', '"-"\nformat = "csv"'))
    cli.write("stdout.toml", JOB.replace('"vectors.jsonl"', '"-"'))
    cli.write("file.toml", 'kind = "chat"\ninput = "in.csv"\nmodel = "m"\nprompt = "nowhere.txt"\n')
    added = cli("schedule", "add", *arguments)
    assert added.code == 2
    assert said in added.stderr
    assert cli("schedule", "list", "--json").json == []


def test_a_name_is_taken_once(cli: Cli, job: str) -> None:
    assert cli("schedule", "add", NEVER_SOON, job).code == 0
    again = cli("schedule", "add", "0 4 * * *", job)
    assert again.code == 2
    assert "a schedule job exists already: `batcher schedule remove job` first" in again.stderr


@pytest.mark.parametrize("verb", ["remove", "run", "pause", "resume"])
def test_a_schedule_that_is_not_there_is_an_error(cli: Cli, job: str, verb: str) -> None:
    cli("schedule", "add", NEVER_SOON, job)
    ran = cli("schedule", verb, "nobody")
    assert (ran.code, ran.stdout) == (2, "")
    assert "there is no schedule 'nobody'" in ran.stderr


def test_a_schedule_that_is_run_now_leaves_a_job_that_names_it(cli: Cli, job: str) -> None:
    cli("schedule", "add", NEVER_SOON, job, "--name", "leap")
    assert cli("schedule", "run", "leap").code == 0
    waiting = cli("schedule", "run", "leap")
    assert waiting.code == 2
    assert "schedule leap is not run: the run before it waits for a worker" in waiting.stderr

    with a_worker(cli.directory):
        wait_until_complete(cli)
        assert cli("schedule", "run", "leap").code == 0
        wait_until_complete(cli, jobs=2)

    newest, oldest = cli("jobs", "--json").json
    assert newest["schedule"] == oldest["schedule"] == "leap"
    assert newest["job"] != oldest["job"]
    heading, row, _ = cli("jobs").stdout.splitlines()
    assert (heading.split()[-1], row.split()[-1]) == ("SCHEDULE", "leap")
    (listed,) = cli("schedule", "list", "--json").json
    outcomes = [(f["outcome"], f["job"], f["status"]) for f in listed["firings"]]
    assert outcomes == [
        ("done", newest["job"], "complete"),
        ("skipped", None, None),
        ("done", oldest["job"], "complete"),
    ]
    shown = cli("schedule", "list").stdout.splitlines()[1].split()
    assert shown[-3:] == ["done", newest["job"], "complete"]
    assert cli("export", newest["job"], "-o", "out.jsonl").code == 0
    assert len(cli.read("out.jsonl").splitlines()) == 3
    assert cli.read("vectors.jsonl") == cli.read("out.jsonl")


# --- submit --server-side ---------------------------------------------------------------------


def test_a_worker_checks_opens_and_plans_what_is_submitted_to_it(cli: Cli, job: str) -> None:
    cli("schedule", "add", NEVER_SOON, job)  # so that there is a database
    with a_worker(cli.directory):
        submitted = cli(*SUBMIT, "--server-side")
        wait_until_complete(cli)
        again = cli(*SUBMIT, "--server-side", "--json")
    assert submitted.code == 0
    assert submitted.stdout.strip() == cli.job()
    assert "no worker is alive" not in submitted.stderr
    done = {"workers plan and send 3 rows", "This job is complete"}  # workers may be quicker
    assert any(said in submitted.stderr for said in done)
    assert (again.json["job"], again.json["status"]) == (cli.job(), "complete")


def test_an_input_that_is_wrong_is_said_by_the_worker(cli: Cli, job: str) -> None:
    cli("schedule", "add", NEVER_SOON, job)
    cli.write("tickets.csv", "id,body\na,fine\nb,a secret,too much\n")
    with a_worker(cli.directory):
        submitted = cli(*SUBMIT, "--server-side", "--quiet")
    assert (submitted.code, submitted.stdout) == (2, "")
    assert submitted.stderr.startswith("error: tickets.csv:3: ")
    assert "secret" not in submitted.stderr
    assert cli("jobs", "--json").json == []


def test_without_a_worker_it_says_so_and_waits(cli: Cli) -> None:
    alive: list[int] = []
    submitting = threading.Thread(
        target=_submit_and_wait, args=(cli.directory, alive), name="submit", daemon=True
    )
    submitting.start()
    wait_until(lambda: len(alive) >= 3, "that it was looked for workers again and again")
    assert submitting.is_alive()
    assert set(alive) == {0}
    with a_worker(cli.directory):
        submitting.join(PATIENCE_SECONDS)
    assert not submitting.is_alive()
    assert alive[-1] in {0, 1}


def _submit_and_wait(directory: Path, alive: list[int]) -> None:
    """``alive`` gets how many workers were alive whenever it was looked."""
    spec = JobSpec(
        kind="embed", input="tickets.csv", model="m", options={"text": "body"}, simulate=True
    )

    async def work() -> None:
        settings = Settings(database_url=str(directory / ".batcher/batcher.db"))
        async with open_runner(settings) as runner:
            await runner.ask(spec, on_waiting=alive.append)

    asyncio.run(work())


def test_what_is_waited_for_is_said_once_and_that_nobody_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = JobSpec(kind="embed", input="https://host/in.csv?sig=1", model="m")
    waiting = Waiting(spec, quiet=False)
    for alive in (1, 0, 0, 1):
        waiting(alive)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("waiting for a worker to check https://host/in.csv;")
    assert second.startswith("no worker is alive: ")


def test_standard_input_is_not_for_workers(cli: Cli) -> None:
    submitted = cli(
        "submit", "embed", "-", "--format", "csv", *SUBMIT[3:], "--server-side", stdin="a,b\n"
    )
    assert submitted.code == 2
    assert "workers cannot read this standard input" in submitted.stderr
