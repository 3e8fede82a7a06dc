"""``--name`` and ``--since-last`` on the command line: what is said, counted and refused."""

from __future__ import annotations

import json

import pytest

from batcher.simulator import Simulator
from tests.cli.conftest import TICKETS, Cli, Outcome

MORE = TICKETS.replace("My parcel is late", "My parcel is lost") + "a4,New,A new one\n"
CLASSIFY = [
    "classify", "tickets.csv", "--id", "id", "--text", "body", "--labels", "shipping,billing,bug",
    "--model", "gpt-4.1-mini",
]  # fmt: skip
SINCE = ["--name", "nightly", "--since-last"]


@pytest.fixture
def night(cli: Cli, simulator: Simulator) -> Night:
    return Night(cli, ["--base-url", simulator.base_url, *SINCE])


class Night:
    """One command, again and again."""

    def __init__(self, cli: Cli, options: list[str]) -> None:
        self.cli = cli
        self.options = options

    def run(self, *more: str) -> Outcome:
        return self.cli("run", *CLASSIFY, *self.options, "-o", "out.jsonl", *more)

    def command(self, name: str, *more: str) -> Outcome:
        return self.cli(name, *CLASSIFY, *self.options, *more)


def before_sending(ran: Outcome) -> str:
    """The last line before the first of progress."""
    said = ran.stderr.splitlines()
    first = next(at for at, line in enumerate(said) if line.startswith("sending"))
    return said[first - 1] if first else ""


def test_a_run_says_what_it_compares_with_and_what_came_of_it(
    cli: Cli, night: Night, simulator: Simulator
) -> None:
    first = night.run()
    said = "no complete run is kept under the name nightly: all 3 rows will be sent"
    assert before_sending(first) == said
    assert "  since     no complete run of this name: every row is new" in first.stderr
    former = cli.job()
    sent = simulator.stats.requests
    cli.write("tickets.csv", MORE)

    second = night.run()
    assert second.code == 0
    said = f"only what is new or changed since job {former} will be sent"
    assert before_sending(second) == said
    counts = (
        f"  since     job {former}: 1 new, 1 changed, 0 failed before, 2 carried over, 0 removed"
    )
    assert counts in second.stderr.splitlines()
    assert simulator.stats.requests - sent == 2
    assert counts in cli("status", cli.job()).stdout.splitlines()
    manifest = json.loads(cli.read("out.jsonl.manifest.json"))
    assert manifest["name"] == "nightly"
    assert manifest["incremental"] == {
        "since": former,
        "new": 1,
        "changed": 1,
        "failed_before": 0,
        "carried_over": 2,
        "removed": 0,
    }
    assert [json.loads(line)["id"] for line in cli.read("out.jsonl").splitlines()] == [
        "a1", "a2", "a3", "a4",
    ]  # fmt: skip
    assert night.run().stderr.splitlines()[-1].startswith("This job was complete already")


def test_what_changed_for_all_rows_is_said_before_they_are_sent(cli: Cli, night: Night) -> None:
    night.run()
    former = cli.job()
    ran = night.run("--model", "gpt-4o-mini", "--instructions", "Choose.")
    said = (
        f"everything changed since job {former}: the model, the instructions; 3 rows will be sent"
    )
    assert said in ran.stderr.splitlines()


def test_quiet_says_nothing(night: Night) -> None:
    ran = night.run("--quiet")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")


def test_an_estimate_says_what_would_be_sent_and_keeps_nothing(
    cli: Cli, night: Night, simulator: Simulator
) -> None:
    before = night.command("estimate")
    assert "  since     no complete run of this name: every row is new" in before.stdout
    assert not (cli.directory / ".batcher" / "batcher.db").exists()
    night.run()
    former, sent = cli.job(), simulator.stats.requests
    cli.write("tickets.csv", MORE)

    estimated = night.command("estimate", "--json").json
    assert estimated["rows"] == 4
    assert estimated["requests"] == 2
    assert estimated["incremental"]["since"] == former
    assert "2 carried over" in night.command("estimate").stdout
    assert simulator.stats.requests == sent
    assert len(cli("jobs", "--json").json) == 1


def test_a_submitted_job_with_nothing_to_send_is_complete(cli: Cli, night: Night) -> None:
    night.run()
    head, *rows = TICKETS.splitlines(keepends=True)
    cli.write("tickets.csv", "".join([head, *reversed(rows)]))
    submitted = night.command("submit")
    assert (
        submitted.stderr.splitlines()[-1] == "Nothing of this job has to be sent: it is complete."
    )
    assert cli("export", submitted.stdout.strip(), "-o", "all.jsonl").code == 0
    assert [json.loads(line)["id"] for line in cli.read("all.jsonl").splitlines()] == [
        "a3", "a2", "a1",
    ]  # fmt: skip


@pytest.mark.parametrize("command", ["run", "estimate", "submit"])
def test_it_needs_a_name(cli: Cli, command: str) -> None:
    refused = cli(command, *CLASSIFY, "--since-last")
    assert refused.code == 2
    assert "--since-last compares with the last complete run of a name" in refused.stderr
    assert "--name NAME" in refused.stderr


@pytest.mark.parametrize("name", ["", " ", "a\nb", " a", "a ", "x" * 101])
def test_a_name_is_one_short_line(cli: Cli, name: str) -> None:
    refused = cli("run", *CLASSIFY, "--simulate", "--name", name)
    assert refused.code == 2
    assert "--name is up to 100 characters" in refused.stderr


def test_it_is_not_to_be_run_anew(cli: Cli) -> None:
    refused = cli("run", *CLASSIFY, *SINCE, "--fresh")
    assert refused.code == 2
    assert "choose one" in refused.stderr


def test_a_job_file_can_say_both(cli: Cli) -> None:
    cli.write(
        "job.toml",
        'kind = "classify"\ninput = "tickets.csv"\nid = "id"\ntext = "body"\nlabels = "a,b"\n'
        'model = "gpt-4.1-mini"\nsimulate = true\nname = "nightly"\nsince_last = true\n',
    )
    cli("run", "job.toml", "--quiet")
    cli.write("tickets.csv", MORE)
    assert cli("run", "job.toml", "--json").json["incremental"]["carried_over"] == 2


def test_the_jobs_of_a_schedule_bear_its_name(cli: Cli) -> None:
    cli.write(
        "job.toml",
        'kind = "classify"\ninput = "tickets.csv"\ntext = "body"\nlabels = "a,b"\n'
        'model = "gpt-4.1-mini"\nsimulate = true\nsince_last = true\n',
    )
    assert cli("run", "job.toml").code == 2  # alone it has no name
    assert cli("schedule", "add", "0 3 * * *", "job.toml", "--name", "nightly").code == 0
