"""The commands about jobs that are there already."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.cli.conftest import Cli, embed_file
from tests.cli.jobs.test_run import CLASSIFY, EMBED


def test_jobs_is_a_table_newest_first(cli: Cli) -> None:
    cli(*EMBED, "--simulate")
    cli(*CLASSIFY, "--simulate")

    heading, *rows = cli("jobs").stdout.splitlines()

    assert heading.split() == "JOB KIND MODEL INPUT STATUS DONE FAILED LEFT COST AGE".split()
    assert [row.split()[1] for row in rows] == ["classify", "embed"]
    assert rows[0].split()[2:9] == [
        "gpt-4.1-mini",
        "(simulated)",
        "tickets.csv",
        "complete",
        "3",
        "0",
        "0",
    ]
    assert [job["kind"] for job in cli("jobs", "--json", "--limit", "1").json] == ["classify"]


def test_without_jobs_jobs_says_so_and_prints_nothing(cli: Cli) -> None:
    listed = cli("jobs")

    assert (listed.code, listed.stdout) == (0, "")
    assert listed.stderr.startswith("no jobs in .batcher/batcher.db yet: ")
    assert cli("jobs", "--json").json == []
    assert [path.name for path in cli.directory.iterdir()] == ["tickets.csv"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["jobs"], ["status", "1"], ["errors", "1"], ["export", "1", "-o", "out.jsonl"],
        ["cancel", "1"], ["retry", "1"], ["db", "purge", "--older-than", "1d"],
    ],
)  # fmt: skip
def test_who_only_looks_at_jobs_makes_no_database(cli: Cli, arguments: list[str]) -> None:
    ran = cli(*arguments, "--db", "typo/jobs.db")

    assert (ran.code, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"error: there is no database {cli.directory}/typo/jobs.db: "
        "`batcher run` makes one; --db names another\n"
    )
    if arguments != ["jobs"]:
        assert f"no database {cli.directory}/.batcher/batcher.db: " in cli(*arguments).stderr
    assert [path.name for path in cli.directory.iterdir()] == ["tickets.csv"]


def test_status_takes_the_beginning_of_an_id(cli: Cli) -> None:
    cli(*CLASSIFY, "-o", "out.jsonl", "--simulate")
    job = cli.job()

    shown = cli("status", job[:8]).stdout.splitlines()

    assert shown[0] == f"job {job}: classify with gpt-4.1-mini, complete"
    assert "  rows      all 3 done" in shown
    assert "  input     tickets.csv" in shown
    assert cli("status", job, "--json").json["job"] == job


def test_status_of_a_paused_job_says_why_and_how_to_go_on(cli: Cli) -> None:
    cli.write("tickets.csv", "id,body\na1,[[fault=402]]\n")
    cli(*CLASSIFY, "--simulate")

    shown = cli("status", cli.job()).stdout

    assert ", paused: the provider says " in shown.splitlines()[0]
    assert "run the same command again:\n  batcher run classify tickets.csv -o OUTPUT" in shown


def test_status_of_a_job_that_its_budget_stopped_asks_for_a_higher_one(cli: Cli) -> None:
    cli(*CLASSIFY, "--simulate", "--max-tokens", "20", "--max-cost", "0.000001")

    shown = cli("status", cli.job()).stdout

    assert ", stopped by its budget: the next request" in shown.splitlines()[0]
    assert (
        "To go on, run the same command with a higher --max-cost.\nIt was:\n"
        "  batcher run classify tickets.csv -o OUTPUT"
    ) in shown
    assert "run the same command again" not in shown
    assert cli("status", cli.job(), "--json").json["status"] == "paused"


@pytest.mark.parametrize("command", ["status", "errors", "retry", "cancel"])
def test_a_job_that_is_not_there_is_an_error(cli: Cli, command: str) -> None:
    cli("db", "upgrade")
    ran = cli(command, "nothing")

    assert ran.code == 2
    assert ran.stderr == "error: there is no job 'nothing': `batcher jobs` lists the jobs\n"


def test_errors_without_any_says_so(cli: Cli) -> None:
    cli(*CLASSIFY, "--simulate")

    shown = cli("errors", cli.job())

    assert (shown.code, shown.stdout, shown.stderr) == (0, "", "no row failed for good\n")
    assert cli("errors", cli.job(), "--json").stdout == ""


def test_export_writes_any_format_and_says_what_it_wrote(cli: Cli) -> None:
    cli(*CLASSIFY, "--simulate")
    job = cli.job()

    exported = cli("export", job, "-o", "out.csv")

    assert exported.code == 0
    assert exported.stderr == f"3 rows of job {job} written to out.csv\n"
    assert cli.read("out.csv").splitlines()[0] == "id,title,body,label"
    assert len(cli("export", job, "-o", "-", "--output-format", "jsonl").lines) == 3
    assert cli("export", job, "-o", "again.jsonl", "--json").json["output"] == "again.jsonl"
    assert cli("export", job, "-o", "-", "--output-format", "csv", "--json").code == 2
    assert cli("export", job).code == 2


def test_an_unfinished_job_is_exported_only_as_a_part(cli: Cli) -> None:
    budget = ["--max-tokens", "20", "--max-cost", "0.000001"]
    cli(*CLASSIFY, "--simulate", *budget)
    job = cli.job()

    refused = cli("export", job, "-o", "out.jsonl")
    partial = cli("export", job, "-o", "out.jsonl", "--partial")

    assert refused.code == 2
    assert "export what there is with --partial" in refused.stderr
    assert partial.code == 0
    assert partial.stderr == f"0 rows of job {job} written to out.jsonl; left out: 3 not done yet\n"


def test_retry_without_dead_letters_says_so(cli: Cli) -> None:
    cli(*CLASSIFY, "--simulate")

    retried = cli("retry", cli.job())

    assert retried.code == 0
    assert retried.stderr == f"nothing to reopen: no row of job {cli.job()} failed for good\n"


def test_retry_leaves_rows_that_are_the_inputs_fault(cli: Cli) -> None:
    cli.write("tickets.csv", "id,body\na1,\na2,text\n")
    assert cli(*CLASSIFY, "--simulate").code == 3

    retried = cli("retry", cli.job())

    assert retried.stderr == (
        "nothing to reopen: 1 row of the input cannot be sent (1 empty_input)\n"
    )
    assert cli.job()
    assert cli("status", cli.job(), "--json").json["status"] == "complete"


def test_a_cancelled_job_keeps_what_it_has_and_is_not_resumed(cli: Cli) -> None:
    budget = ["--max-tokens", "20", "--max-cost", "0.000001"]
    cli(*CLASSIFY, "--simulate", *budget)
    job = cli.job()

    cancelled = cli("cancel", job)

    assert cancelled.code == 0
    assert cancelled.stderr == f"job {job} is cancelled, with 0 rows done\n"
    assert cli("status", job, "--json").json["status"] == "cancelled"
    assert cli(*CLASSIFY, "--simulate").code == 0
    assert cli.job() != job
    assert (
        cli("cancel", cli.job()).stderr
        == "error: the job is complete: there is nothing to cancel\n"
    )


def test_estimate_plans_in_full_and_leaves_nothing_behind(cli: Cli) -> None:
    said = cli("estimate", *CLASSIFY[1:], "--rpm", "60", "-o", "ignored.jsonl")

    assert said.code == 0
    lines = said.stdout.splitlines()
    assert lines[0] == "classify with gpt-4.1-mini"
    assert lines[1:3] == ["  rows      3", "  requests  3"]
    assert re.fullmatch(r"  tokens    \d+ in, 1\d\d out at most", lines[3])
    assert re.fullmatch(r"  cost      \$0\.0\d+ to \$0\.0\d+", lines[4])
    assert lines[5] == "  time      3.0 s at the limit given"
    assert sorted(path.name for path in cli.directory.iterdir()) == ["tickets.csv"]

    free = cli("estimate", "chat", "tickets.csv", "--text", "body", "--model", "gpt-4.1-mini")
    assert "answers have no limit (--max-tokens gives them one)" in free.stdout
    assert " and what the answers cost\n" in free.stdout
    thinks = cli("estimate", *CLASSIFY[1:-1], "gpt-5-mini").stdout
    assert "out at most, without what the model thinks" in thinks
    assert "and what the model thinks before it answers" in thinks
    bounded = cli("estimate", *CLASSIFY[1:], "--max-tokens", "5", "--json").json
    assert bounded["requests"] == 3
    assert bounded["tokens"]["completion_at_most"] == 15


def test_estimate_of_a_model_without_a_price_does_not_say_nothing_costs(cli: Cli) -> None:
    said = cli("estimate", "embed", "tickets.csv", "--text", "body", "--model", "ours")

    assert "  cost      unknown: no price for this model (--price IN,OUT gives one)" in said.stdout


def test_the_database_is_upgraded_and_purged(cli: Cli) -> None:
    made = cli("db", "upgrade", "--json").json
    assert made["before"] is None
    assert cli("db", "upgrade").stderr == (
        f".batcher/batcher.db is up to date (revision {made['after']})\n"
    )
    cli(*EMBED, "--simulate")
    job = cli.job()

    for span in ("1h", "999999999999w"):
        assert cli("db", "purge", "--older-than", span).stderr == "0 jobs deleted\n"
    assert len(cli("jobs", "--limit", "9" * 30, "--json").json) == 1
    purged = cli("db", "purge", "--older-than", "0s", "--json").json
    assert purged["purged"] == [job]
    assert purged["given_back_bytes"] >= 0
    assert cli("jobs", "--json").json == []


@pytest.mark.parametrize("span", ["30", "x", "", "-1d", "3 weeks"])
def test_a_span_that_is_none_deletes_nothing(cli: Cli, span: str) -> None:
    ran = cli("db", "purge", f"--older-than={span}")

    assert ran.code == 2
    assert ran.stdout == ""


def test_all_facts_can_be_had_as_json(cli: Cli) -> None:
    cli(*EMBED, "--simulate")
    job = cli.job()
    for command in (
        ["jobs"],
        ["status", job],
        ["export", job, "-o", "v.npy"],
        ["retry", job],
        ["estimate", *EMBED[1:]],
        ["db", "upgrade"],
        ["db", "purge", "--older-than", "1d"],
    ):
        ran = cli(*command, "--json")
        assert ran.code == 0, command
        assert json.loads(ran.stdout) is not None
        assert ran.stdout.count("\n") == 1


def test_simulate_lists_its_faults(cli: Cli) -> None:
    shown = cli("simulate", "--faults")
    as_json = cli("simulate", "--faults", "--json")

    assert (shown.code, shown.stderr) == (0, "")
    lines = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
    assert {name: text.strip() for name, text in lines.items()} == as_json.json
    assert as_json.json["429_slow_down"] == "429 slow_down"


def test_submit_stops_at_a_row_that_cannot_be_sent_where_that_was_asked_for(cli: Cli) -> None:
    cli.write("tickets.csv", "id,body\na1,text\na2,\n")
    submit = ["submit", *CLASSIFY[1:], "--on-error", "stop"]
    stopped = cli(*submit)
    again = cli(*submit)

    assert stopped.code == 3
    assert stopped.stdout == f"{cli.job()}\n"
    assert stopped.stderr.startswith(
        "stopped at a failed row\n"
        "What is done is kept. The same command goes on with the other rows.\n"
    )
    assert again.code == 0
    assert again.stdout == stopped.stdout


def test_a_port_that_is_taken_is_the_users_to_change(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = cli("simulate", "--port", str(port))
    assert ran.code == 2
    assert f"--port {port}: nothing can listen there: Address already in use" in ran.stderr


# --- CSV --------------------------------------------------------------------------------------


def test_a_job_without_its_columns_says_so_where_csv_is_asked_for(cli: Cli) -> None:
    cli.write("few.csv", "id,body\n1,one\n")
    job = embed_file(cli, "few.csv", "-o", "few.jsonl", "--no-keep-input")
    what = ("--text", "body", "--id", "id", "--model", "text-embedding-3-small", "--simulate")
    again = cli("run", "embed", "few.csv", *what, "-o", "again.csv")
    assert cli.read("again.csv").startswith("id,row,embedding")
    for said in (again.stderr, cli("export", job, "-o", "other.csv").stderr):
        assert "the input's columns were not kept (--no-keep-input)" in said
        assert "--fresh" in said


def test_formulas_are_quoted_where_that_is_asked_for(cli: Cli) -> None:
    cli.write("few.csv", "id,body\n1,=cmd()\n2,-1.5\n3,+call\n")
    job = embed_file(cli, "few.csv", "-o", "plain.csv")
    assert bodies(cli, "plain.csv") == ["body", "=cmd()", "-1.5", "+call"]
    safe = ["body", "'=cmd()", "-1.5", "'+call"]
    cli("export", job, "-o", "safe.csv", "--csv-safe")
    assert bodies(cli, "safe.csv") == safe
    assert embed_file(cli, "few.csv", "-o", "plain.csv", "--csv-safe") == job
    assert bodies(cli, "plain.csv") == safe


def bodies(cli: Cli, name: str) -> list[str]:
    """The second cell of each line."""
    return [line.split(",")[1] for line in cli.read(name).splitlines()]


def test_a_working_directory_that_is_gone_is_said(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = cli.directory / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    for command in (["jobs"], [*EMBED, "--simulate"], ["status", "1"]):
        ran = cli(*command)
        assert (ran.code, "unforeseen" in ran.stderr) == (2, False), ran.stderr
