"""``submit -o`` and what becomes of it, with a worker beside the commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.worker_beside import a_worker
from tests.waiting import wait_until

pytestmark = pytest.mark.process

SUBMIT = ("submit", "embed", "tickets.csv", "--text", "body", "--model", "m", "--simulate")


def delivery(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = cli("status", "--json").json["delivery"]
    return found


def test_a_submitted_job_is_delivered_and_watch_ends_when_it_is(cli: Cli) -> None:
    submitted = cli(*SUBMIT, "-o", "vectors-{job}.csv", "--failed-rows", "null", "--csv-safe")
    job = submitted.stdout.strip()
    assert submitted.code == 0
    assert f"workers send them and deliver to vectors-{job}.csv" in submitted.stderr
    assert cli("status").stdout.count("  delivery  ") == 1
    assert delivery(cli)["status"] == "waiting"
    with a_worker(cli.directory):
        watched = cli("watch", job)
    assert watched.code == 0
    assert f"  delivery  vectors-{job}.csv, delivered" in watched.stderr.splitlines()
    assert len(cli.read(f"vectors-{job}.csv").splitlines()) == 4
    notes = json.loads(cli.read(f"vectors-{job}.csv.manifest.json"))["notes"]
    assert any("--csv-safe" in note for note in notes)
    assert any("--failed-rows null" in note for note in notes)
    told = delivery(cli)
    assert (told["status"], told["attempts"], told["cause"]) == ("delivered", 1, None)
    assert told["files"] == [
        str(cli.directory / f"vectors-{job}.csv"),
        str(cli.directory / f"vectors-{job}.csv.manifest.json"),
    ]
    listed = cli("jobs", "--json").json[0]
    assert listed["delivery"] == told


def test_a_delivery_that_fails_is_the_exit_code_of_watch_and_status_says_why(cli: Cli) -> None:
    cli.write("taken.jsonl", "somebody's\n")
    job = cli(*SUBMIT, "-o", "taken.jsonl", "--quiet").stdout.strip()
    with a_worker(cli.directory):
        watched = cli("watch", job)
        assert watched.code == 2
        wait_until(lambda: delivery(cli)["status"] == "failed", "a failure that is told")
        (line,) = [line for line in cli("status").stdout.splitlines() if "  delivery  " in line]
        assert line.startswith("  delivery  taken.jsonl, failed 1 attempt, tried again at ")
        assert "taken.jsonl already exists and has no manifest of this job beside it" in line
        assert cli.read("taken.jsonl") == "somebody's\n"
        again = cli(*SUBMIT, "-o", "taken.jsonl", "--overwrite")
        assert again.code == 0
        assert cli("watch", job).code == 0
    assert len(cli.read("taken.jsonl").splitlines()) == 3


def test_a_job_that_is_not_to_be_delivered_says_nothing_of_it(cli: Cli) -> None:
    job = cli(*SUBMIT, "--quiet").stdout.strip()
    with a_worker(cli.directory):
        assert cli("watch", job).code == 0
    assert "delivery" not in cli("status", job).stdout
    assert "delivery" not in cli("status", job, "--json").json
    assert not list(cli.directory.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("-", "workers have no standard output of yours"),
        ("out.xyz", "the name does not tell the format"),
        ("s3://bucket/out.csv", "no destination for s3:// is installed here"),
        ("{name}.csv", "the job has no name: give it one with --name NAME"),
    ],
)
def test_a_place_that_no_worker_could_write_to_is_refused(cli: Cli, output: str, said: str) -> None:
    for more in ((), ("--server-side",)):
        refused = cli(*SUBMIT, "-o", output, *more)
        assert (refused.code, refused.stdout) == (2, "")
        assert said in refused.stderr
    assert cli("jobs", "--json").json == []


def test_a_run_and_an_export_are_called_after_their_job_too(cli: Cli) -> None:
    run = ("run", *SUBMIT[1:], "--name", "a/b", "-o", "{name}-{job}.jsonl", "--quiet")
    assert cli(*run).code == 0
    job = cli.job()
    assert len(cli.read(f"a_b-{job}.jsonl").splitlines()) == 3
    assert cli("status", "--json").json["last_output"].endswith(f"/a_b-{job}.jsonl")
    again = cli(*run, "--json")
    assert (again.code, again.json["sent_nothing"]) == (0, True)
    assert cli("export", job, "-o", "{job}.csv").code == 0
    assert len(cli.read(f"{job}.csv").splitlines()) == 4
    nameless = cli("run", *SUBMIT[1:], "--fresh", "-o", "{name}.jsonl")
    assert nameless.code == 2
    assert "the job has no name" in nameless.stderr
    assert len(cli("jobs", "--json").json) == 1
