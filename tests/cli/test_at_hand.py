"""Jobs at hand: the last one without its id, the list by state, kind and name, and getting rid."""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.cli.jobs.test_run import CLASSIFY, EMBED
from tests.cli.serving import serving

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

CHAT = (
    "run", "chat", "tickets.csv", "--prompt", "prompt.j2", "--model", "gpt-4.1-mini",
    "--max-tokens", "9", "--simulate",
)  # fmt: skip


async def refuse(request: web.Request) -> web.Response:
    """A provider that knows no key."""
    error = {"code": "invalid_api_key", "message": "No."}
    return web.json_response({"error": error}, status=401)


def said_of(cli: Cli) -> str:
    """What standard error says where no job was named."""
    return f"the last job is {cli.job()}: embed of tickets.csv\n"


# --- the last job -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"], ["errors"], ["results"], ["export", "-o", "again.jsonl"], ["retry"], ["watch"],
        ["status", "--json"],
    ],
)  # fmt: skip
def test_without_a_job_the_last_one_is_meant_and_said(cli: Cli, arguments: list[str]) -> None:
    cli(*CLASSIFY, "--simulate")
    cli(*EMBED, "--simulate")
    last = said_of(cli)
    named = [arguments[0], cli.job(), *arguments[1:]]
    expected = cli(*named)
    assert (expected.code, last in expected.stderr) == (0, False)

    ran = cli(*arguments)

    assert (ran.code, ran.stdout) == (0, expected.stdout)
    assert ran.stderr == last + expected.stderr


@pytest.mark.parametrize(
    ("command", "status"), [("pause", "paused"), ("resume", "open"), ("cancel", "cancelled")]
)
def test_what_stops_a_job_stops_the_last_one(cli: Cli, command: str, status: str) -> None:
    cli(*EMBED, "--simulate", "--max-cost", "0.0000000001")

    ran = cli(command)

    assert ran.code == 0
    assert ran.stderr.startswith(said_of(cli))
    assert cli("status", "--json").json["status"] == status


@pytest.mark.parametrize("command", ["status", "watch", "cancel"])
def test_without_any_job_there_is_no_last_one(cli: Cli, command: str) -> None:
    cli(*EMBED, "--simulate")
    cli("rm", cli.job())

    ran = cli(command)

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: there is no job yet: ")


def test_results_are_the_records_of_the_output(cli: Cli) -> None:
    cli(*EMBED, "--simulate", "-o", "out.jsonl")
    cli(*CLASSIFY, "--simulate", "-o", "labels.csv")

    assert cli("results", "--output-format", "csv").stdout == cli.read("labels.csv")
    embedded = cli("jobs", "--kind", "embed", "--json").json[0]["job"]
    assert cli("results", embedded).stdout == cli.read("out.jsonl")


# --- the list ---------------------------------------------------------------------------------


def test_jobs_are_listed_by_state_kind_and_name(cli: Cli) -> None:
    cli.write("prompt.j2", "Say {{ title }}")
    cli(*EMBED, "--simulate", "--name", "nightly")
    cli(*CLASSIFY, "--simulate")
    cli(*CHAT, "--max-cost", "0.0000000001")

    def kinds(*arguments: str) -> list[str]:
        return [job["kind"] for job in cli("jobs", "--json", *arguments).json]

    assert kinds() == ["chat", "classify", "embed"]
    assert kinds("--state", "paused") == ["chat"]
    assert kinds("--state", "complete") == ["classify", "embed"]
    assert kinds("--state", "complete", "-n", "1") == ["classify"]
    assert kinds("--kind", "embed") == kinds("--name", "nightly") == ["embed"]
    assert kinds("--kind", "embed", "-n", "1") == ["embed"]
    assert kinds("--kind", "embed", "--state", "paused") == []
    assert cli("jobs", "--name", "other").stderr == "no such job: `batcher jobs` lists all\n"
    heading, *rows = cli("jobs").stdout.splitlines()
    assert heading.split()[-1] == "NAME"
    assert [row.split()[-1] for row in rows] == ["-", "-", "nightly"]


# --- getting rid ------------------------------------------------------------------------------


def test_rm_deletes_a_job_with_what_is_kept_of_it_and_nothing_else(cli: Cli) -> None:
    cli(*EMBED, "--simulate", "-o", "kept.jsonl")
    other = cli.job()
    cli(*CLASSIFY, "--simulate", "-o", "out.jsonl")
    before = cli("results", other).stdout

    gone = cli("rm", job := cli.job())

    assert gone.code == 0
    assert gone.stderr.splitlines() == [
        f"job {job} is deleted: classify of tickets.csv, with 3 results and 0 failed rows",
        "  its output file stays: out.jsonl",
    ]
    assert cli.job() == other
    assert cli("results", other).stdout == before
    assert cli("status", job).code == 2
    assert cli.read("out.jsonl")


def test_rm_takes_several_and_prints_them_as_json(cli: Cli) -> None:
    cli(*EMBED, "--simulate")
    first = cli.job()
    cli(*CLASSIFY, "--simulate")

    gone = cli("rm", first, cli.job(), "--json")

    assert [job["kind"] for job in gone.json] == ["embed", "classify"]
    assert cli("jobs", "--json").json == []
    assert cli("rm").code == 2  # each must be named


def test_rm_refuses_a_job_that_a_process_runs(cli: Cli) -> None:
    cli(*EMBED, "--simulate")
    job = cli.job()
    (lock,) = cli.directory.glob(f".batcher/*.locks/{job}.lock")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = cli("rm", job)
    assert refused.code == 2
    assert refused.stderr.startswith(f"error: job {job} is ")
    assert cli("status", job).code == 0


# --- jobs that never sent anything ------------------------------------------------------------


def test_a_newer_attempt_replaces_a_job_of_which_nothing_was_done(cli: Cli) -> None:
    with serving(refuse) as url:
        assert cli(*EMBED[:-1], "one", "--base-url", url).code == 2
        replaced = cli.job()
        stopped = cli(*EMBED[:-1], "another", "--base-url", url)
    assert stopped.code == 2
    assert len(cli("jobs", "--json").json) == 1
    said = f"job {replaced}, an earlier attempt that had no results, is removed"
    assert said in stopped.stderr.splitlines()

    cli(*EMBED, "--simulate")

    assert [job["status"] for job in cli("jobs", "--json").json] == ["complete"]


def test_what_waits_was_done_or_is_of_another_input_stays(cli: Cli) -> None:
    cli.write("other.csv", cli.read("tickets.csv") + "a4,More,More of it\n")
    cli(*CLASSIFY, "--simulate")
    cli("submit", *CLASSIFY[1:-1], "another-model")  # waits for workers
    with serving(refuse) as url:
        cli(*CLASSIFY, "--base-url", url, "--name", "named")
        cli("run", "classify", "other.csv", *CLASSIFY[3:], "--base-url", url)
    there = {job["job"] for job in cli("jobs", "--json").json}
    assert len(there) == 4

    cli(*CLASSIFY, "--simulate", "--limit", "2")

    assert there < {job["job"] for job in cli("jobs", "--json").json}


# --- retry by code, the output, this run ------------------------------------------------------


def test_retry_reopens_rows_of_a_code_alone(cli: Cli) -> None:
    cli(*CLASSIFY, "--simulate")
    refused = cli("retry", "--code", "server_error")
    assert refused.code == 2
    assert refused.stderr.endswith(
        f"no row of job {cli.job()} failed with 'server_error', and none with another code\n"
    )


def test_status_names_the_output_that_was_used(cli: Cli) -> None:
    cli(*EMBED, "--simulate", "-o", "sub.jsonl", "--max-cost", "0.0000000001")

    shown = cli("status").stdout

    assert "  output    sub.jsonl\n" in shown
    assert "batcher run embed tickets.csv -o sub.jsonl --model" in shown
    assert cli("status", "--json").json["last_output"] == str(cli.directory / "sub.jsonl")
    cli(*EMBED, "--simulate", "-o", "-", "--output-format", "jsonl")  # a stream is no file
    assert cli("status", "--json").json["last_output"] == str(cli.directory / "sub.jsonl")
    cli("export", "-o", "caf\udce9.csv")  # what no database takes, and no screen shows
    assert cli("status", "--json").json["last_output"] == str(cli.directory / "sub.jsonl")
    cli("export", "-o", "new.csv")
    assert cli("status", "--json").json["last_output"] == str(cli.directory / "new.csv")


def test_a_runs_json_tells_what_this_run_did_beside_the_whole_job(cli: Cli) -> None:
    job = [*CLASSIFY, "--simulate", "--json", "--max-tokens", "20"]
    first = cli(*job, "--max-cost", "0.00015").json
    assert first["status"] == "over_budget"
    assert 0 < first["rows"]["done"] < 3
    second, third = cli(*job, "--max-cost", "1").json, cli(*job, "--max-cost", "1").json

    assert [run["sent_nothing"] for run in (first, second, third)] == [False, False, True]
    assert first["this_run"]["rows"]["done"] == first["rows"]["done"]
    for name in ("requests", "cost_usd"):
        assert first["this_run"][name] == first[name]
        assert second["this_run"][name] == pytest.approx(second[name] - first[name])
        assert third["this_run"][name] == 0
    assert second["this_run"]["rows"]["done"] == 3 - first["rows"]["done"]
    assert (
        second["this_run"]["tokens"]["prompt"]
        == second["tokens"]["prompt"] - first["tokens"]["prompt"]
    )
    cli("export", "-o", "out.jsonl")
    assert "this_run" not in json.loads(cli.read("out.jsonl.manifest.json"))
    assert "this_run" not in cli("status", "--json").json
