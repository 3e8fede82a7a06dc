from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint, entry_points

import pytest

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.cli.options.kind_group import KindGroup
from batcher.simulator import Simulator, SimulatorConfig
from tests.cli.conftest import Cli, Outcome
from tests.cli.provider import provider
from tests.engine.kinds.awkward_kind import KIND

EMBED = ["run", "embed", "tickets.csv", "--text", "body", "--model", "text-embedding-3-small"]
CLASSIFY = [
    "run", "classify", "tickets.csv", "--id", "id", "--text", "body",
    "--labels", "shipping,billing,bug", "--model", "gpt-4.1-mini",
]  # fmt: skip


def test_a_run_writes_records_in_order_and_a_manifest(cli: Cli, simulator: Simulator) -> None:
    ran = cli(*CLASSIFY, "-o", "out.jsonl", "--base-url", simulator.base_url)

    assert ran.code == 0
    records = [json.loads(line) for line in cli.read("out.jsonl").splitlines()]
    assert [record["id"] for record in records] == ["a1", "a2", "a3"]
    assert {record["label"] for record in records} <= {"shipping", "billing", "bug"}
    assert json.loads(cli.read("out.jsonl.manifest.json"))["status"] == "complete"
    assert not (cli.directory / "out.jsonl.errors.jsonl").exists()


def test_a_run_says_on_standard_error_how_it_ended_and_nothing_on_standard_output(
    cli: Cli,
) -> None:
    ran = cli(*CLASSIFY, "-o", "out.jsonl", "--simulate")

    assert ran.stdout == ""
    said = [line for line in ran.stderr.splitlines() if not line.startswith("checking the input")]
    assert said[0] == "sending: 0 of 3 rows (0%)"
    assert f"job {cli.job()}: classify with gpt-4.1-mini, complete" in said
    assert "  rows      all 3 done" in said
    assert "  output    out.jsonl" in said
    assert "  manifest  out.jsonl.manifest.json" in said
    assert any(line.startswith("  cost      $0.00") for line in said)
    assert any(line.startswith("  time      ") and "rows/" in line for line in said)


def test_quiet_says_nothing_at_all(cli: Cli) -> None:
    ran = cli(*CLASSIFY, "-o", "out.jsonl", "--simulate", "--quiet")

    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")


def test_a_complete_job_sends_nothing_and_says_so(cli: Cli, simulator: Simulator) -> None:
    command = [*CLASSIFY, "-o", "out.jsonl", "--base-url", simulator.base_url]
    cli(*command)
    sent = simulator.stats.requests

    again = cli(*command)

    assert again.code == 0
    assert simulator.stats.requests == sent == 3
    assert "This job was complete already: nothing was sent. --fresh runs it again." in again.stderr
    assert "Its output" not in again.stderr
    (cli.directory / "out.jsonl").unlink()
    assert "Its output was missing" in cli(*command).stderr
    assert (cli.directory / "out.jsonl").exists()
    assert simulator.stats.requests == 3

    fresh = cli(*command, "--fresh")

    assert simulator.stats.requests == 6
    assert "complete already" not in fresh.stderr
    assert len(cli("jobs", "--json").json) == 2


def test_json_is_the_report_and_the_only_thing_on_standard_output(cli: Cli) -> None:
    ran = cli(*EMBED, "-o", "out.npy", "--simulate", "--json")

    report = ran.json
    assert report["status"] == "complete"
    assert report["rows"] == {"total": 3, "done": 3, "failed": 0}
    assert report["output"] == "out.npy"
    assert report["input"] == "tickets.csv"


def test_records_can_go_to_standard_output(cli: Cli) -> None:
    ran = cli(*CLASSIFY, "-o", "-", "--output-format", "jsonl", "--simulate")

    assert ran.code == 0
    assert [line["id"] for line in ran.lines] == ["a1", "a2", "a3"]
    assert "  output    standard output" in ran.stderr.splitlines()


def test_records_and_json_do_not_share_standard_output(cli: Cli) -> None:
    ran = cli(*CLASSIFY, "-o", "-", "--output-format", "jsonl", "--simulate", "--json")

    assert ran.code == 2
    assert ran.stderr == ("error: --json and -o - both write to standard output: choose one\n")
    assert ran.stdout == ""


def test_the_input_may_come_by_standard_input(cli: Cli) -> None:
    command = ["run", "embed", "-", "--format", "csv", "--text", "body", "--model", "m"]
    ran = cli(*command, "-o", "out.jsonl", "--simulate", stdin="body\nfirst\nsecond\n")

    assert ran.code == 0
    assert len(cli.read("out.jsonl").splitlines()) == 2


def test_without_an_output_the_results_stay_and_the_summary_says_how_to_get_them(cli: Cli) -> None:
    ran = cli(*EMBED, "--simulate")

    assert ran.code == 0
    assert f"  batcher export {cli.job()} -o OUTPUT.jsonl" in ran.stderr.splitlines()
    assert cli("export", cli.job(), "-o", "vectors.npy").code == 0
    assert (cli.directory / "vectors.npy").exists()


def test_rows_that_fail_for_good_exit_3_and_can_be_retried(cli: Cli) -> None:
    cli.write("tickets.csv", "id,body\na1,short\na2,\na3," + "long " * 300 + "\n")
    with provider(SimulatorConfig(context_window=300)) as simulator:
        command = [*CLASSIFY, "-o", "out.jsonl", "--base-url", simulator.base_url]
        ran = cli(*command)
        job = cli.job()

        assert ran.code == 3
        assert (
            f"2 rows failed for good. To see why:\n  batcher errors {job}\n"
            f"To try again those that can be sent:\n  batcher retry {job}"
        ) in ran.stderr
        assert "  errors    out.jsonl.errors.jsonl" in ran.stderr.splitlines()
        letters = cli("errors", job, "--json").lines
        assert letters == [
            json.loads(line) for line in cli.read("out.jsonl.errors.jsonl").splitlines()
        ]
        assert [letter["id"] for letter in letters] == ["a2", "a3"]
        shown = cli("errors", job).stdout.splitlines()
        assert shown[0].startswith("row 1 (id a2): empty_input, ")
        assert shown[1].startswith("row 2 (id a3): context_length_exceeded, 1 attempt: ")

        retried = cli("retry", job)

        assert retried.code == 0
        assert retried.stderr.startswith(
            f"1 failed row of job {job} reopened (1 context_length_exceeded). "
            "To send it, run the job again:\n"
            "  batcher run classify tickets.csv -o out.jsonl --model gpt-4.1-mini --text body"
        )
        sent = simulator.stats.requests
        assert cli(*command).code == 3
        assert simulator.stats.requests > sent
        assert cli("retry", job, "--json").json["reopened"] == 1


def test_a_row_that_fails_for_good_may_stop_the_run(cli: Cli) -> None:
    cli.write("tickets.csv", "id,body\na1,short\na3," + "long " * 300 + "\n")
    with provider(SimulatorConfig(context_window=300)) as simulator:
        base_url = simulator.base_url
        ran = cli(*CLASSIFY, "-o", "o.jsonl", "--base-url", base_url, "--on-error", "stop")

    assert ran.code == 3
    assert "classify with gpt-4.1-mini, stopped at a failed row\n" in ran.stderr
    assert "The same command goes on with the other rows." in ran.stderr
    assert "The same command goes on with the other rows." in cli("status", cli.job()).stdout
    assert not (cli.directory / "o.jsonl").exists()


def test_a_kind_at_fault_exits_1_and_says_whose_fault_it_is(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("awkward", "tests.engine.kinds.awkward_kind:KIND", "batcher.kinds")
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), entry],
    )
    monkeypatch.setattr(KindGroup, "kinds", property(lambda _: InstalledKinds()))
    monkeypatch.setattr(KIND, "fault", "parse")
    command = ["run", "awkward", "tickets.csv", "-o", "o.jsonl", "--model", "gpt-4.1-mini"]
    ran = cli(*command, "--text", "body", "--simulate")

    assert ran.code == 1
    assert "failed: the kind 'awkward' cannot go on, its parse raised RuntimeError" in ran.stderr
    assert "What is done is kept. Once that is fixed, the same command goes on." in ran.stderr
    assert "Traceback" not in ran.stderr
    assert cli("status", cli.job(), "--json").json["status"] == "paused"


def test_a_spent_budget_exits_4_and_says_what_to_do(cli: Cli) -> None:
    command = [*CLASSIFY, "-o", "out.jsonl", "--max-tokens", "20", "--simulate"]
    ran = cli(*command, "--max-cost", "0.000001")

    assert ran.code == 4
    assert "To go on, run the same command with a higher --max-cost." in ran.stderr
    assert "stopped by its budget: " in ran.stderr
    assert cli(*command, "--max-cost", "1").code == 0


def test_a_provider_that_is_down_pauses_the_job_and_exits_5(cli: Cli) -> None:
    with provider(SimulatorConfig(outage="503")) as simulator:
        command = [*CLASSIFY, "-o", "out.jsonl", "--base-url", simulator.base_url]
        ran = cli(*command, "--outage-timeout", "1")

    assert ran.code == 5
    assert re.search(
        r"paused: no request succeeded for \d+ s \(the last: \w+(?:: .+)?\)", ran.stderr
    )
    assert "To go on, run the same command again:\n  batcher run classify" in ran.stderr
    assert cli("jobs", "--json").json[0]["status"] == "paused"


def test_a_wrong_key_exits_2_and_fails_no_row(cli: Cli) -> None:
    with provider(SimulatorConfig(api_key="another")) as simulator:
        ran = cli(*CLASSIFY, "-o", "out.jsonl", "--base-url", simulator.base_url)

    assert ran.code == 2
    assert "3 left, of 3" in ran.stderr
    assert "failed for good" not in ran.stderr
    assert "sk-of-the-test" not in ran.stderr


def test_a_model_without_a_price_costs_an_unknown_amount_rather_than_none(cli: Cli) -> None:
    ran = cli("run", "embed", "tickets.csv", "--text", "body", "--model", "ours", "--simulate")

    assert "  cost      unknown: no price for this model (--price IN,OUT gives one)" in ran.stderr
    assert "$0" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "tickets.csv", "--text", "body"], "--model NAME is missing"),
        (["embed", "--model", "m"], "INPUT is missing: name a file, or - for standard input"),
        (["embed", "nothing.csv", "--model", "m", "--text", "b"], "nothing.csv: "),
        (["embed", "tickets.csv", "--model", "m"], "embed needs --text or --template"),
        (["embed", "tickets.csv", "--model", "m", "--text", "no"], "tickets.csv"),
        (["embed", "tickets.csv", "--model", "m", "--rpm", "0"], "--rpm must be more than 0"),
        (["embed", "tickets.csv", "--model", "m", "--rpm", "x"], "'--rpm': 'x' is not a valid"),
        (["embed", "tickets.csv", "--model", "m", "--price", "1"], "--price takes IN,OUT"),
        (["embed", "tickets.csv", "--model", "m", "--max-cost", "nan"], "is an amount in dollars"),
        (["embed", "tickets.csv", "--model", "m", "--header", "sk-1"], "write NAME:VALUE"),
        (["embed", "tickets.csv", "--model", "m", "--header", "X-Key: sk-1"], "--header X-Key"),
        (["embed", "tickets.csv", "--model", "m", "--overlong", "x"], "is not one of"),
        ([*EMBED[1:], "--base-url", "http://localhost:/v1"], "has no port after the colon: write"),
        ([*EMBED[1:], "--base-url", "https://:8000/v1"], "names no host: write it like https://"),
        ([*EMBED[1:], "--base-url", "https://me:sk-1@host/v1"], "holds a user or a password: "),
        ([*EMBED[1:], "--dimensions", "8", "--dimensions", "9"], "--dimensions is given 2 times"),
        ([*EMBED[1:], "--text", "body"], "--text names the column 'body' twice"),
        (["embd", "tickets.csv"], "no kind 'embd' (did you mean 'embed'?)"),
        (["--model", "m", "embed"], "options come last: batcher run KIND INPUT --model …"),
        (["nothing.toml"], "nothing.toml: there is no such job file"),
    ],
)
def test_bad_input_is_one_clear_error_and_exits_2(
    cli: Cli, arguments: list[str], message: str
) -> None:
    ran = cli("run", *arguments)

    assert ran.code == 2
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "sk-1" not in ran.stderr
    assert ran.stdout == ""
    assert not (cli.directory / "out.jsonl").exists()
    assert cli("jobs", "--json").json == []


def test_a_column_that_a_template_cannot_name_plainly_is_explained(cli: Cli) -> None:
    cli.write("people.csv", "first name,e-mail\nAda,ada@example.org\n")
    cli.write("people.jsonl", '{"first name": "Ada"}\n')
    cli.write("plain.jsonl", '{"name": "Ada"}\n')
    cli.write("wrong.j2", "{{ first_name }}")
    cli.write("right.j2", '{{ row["first name"] }}')
    advice = '; a column whose name is not a valid identifier is written {{ row["first name"] }}\n'

    def chat(file: str, prompt: str) -> Outcome:
        return cli("run", "chat", file, "--prompt", prompt, "--model", "m", "--simulate")

    assert chat("people.csv", "wrong.j2").stderr.endswith(
        "error: people.csv: there is no column 'first_name' (did you mean 'first name'?): "
        f"there are first name, e-mail{advice}"
    )
    assert chat("people.jsonl", "wrong.j2").stderr.endswith(
        "error: people.jsonl: there is no column 'first_name' (did you mean 'first name'?): "
        f"there are first name{advice}"
    )
    assert "row[" not in chat("plain.jsonl", "wrong.j2").stderr
    assert chat("people.csv", "right.j2").code == 0
    assert chat("people.jsonl", "right.j2").code == 0
    for typo in (
        cli("run", "embed", "people.csv", "--text", "first_name", "--model", "m"),
        cli("run", "chat", "people.csv", "--prompt", "right.j2", "--model", "m", "--id", "e_mail"),
    ):
        assert typo.code == 2
        assert "there is no column" in typo.stderr
        assert "row[" not in typo.stderr
