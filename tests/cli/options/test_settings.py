"""Where a setting comes from: flag, job file, environment, profile, default, in this order."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from batcher.cli.options.command_line import command_of
from batcher.cli.options.job import job_options, run_options
from batcher.core.job.spec import JobSpec
from batcher.core.options import read_record
from tests.cli.conftest import Cli

JOB = "kind = 'embed'\ninput = 'tickets.csv'\nmodel = 'm'\ntext = 'body'\nsimulate = true\n"
EMBED = ["embed", "tickets.csv", "--text", "body"]
PROFILES = """
[defaults]
model = "of-the-defaults"
limit = 1
[profiles.staging]
model = "of-the-profile"
"""


def run(cli: Cli, *arguments: str) -> Any:
    """The report of a simulated run."""
    ran = cli("run", *arguments, "--simulate", "--json")
    assert ran.code == 0, ran.stderr
    return ran.json


def test_flag_before_environment_before_profile_before_defaults(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.write("batcher.toml", PROFILES)
    assert run(cli, *EMBED)["model"] == "of-the-defaults"
    assert run(cli, *EMBED, "--profile", "staging")["model"] == "of-the-profile"

    monkeypatch.setenv("BATCHER_PROFILE", "staging")
    assert run(cli, *EMBED)["model"] == "of-the-profile"
    assert run(cli, *EMBED)["rows"]["total"] == 1

    monkeypatch.setenv("BATCHER_MODEL", "of-the-environment")
    assert run(cli, *EMBED)["model"] == "of-the-environment"
    assert run(cli, *EMBED, "--model", "of-the-flag")["model"] == "of-the-flag"


def test_a_job_file_before_the_environment_and_after_flags(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.write("batcher.toml", PROFILES)
    cli.write("job.toml", 'kind = "embed"\ninput = "tickets.csv"\nmodel = "m"\ntext = "body"\n')
    monkeypatch.setenv("BATCHER_MODEL", "of-the-environment")

    assert run(cli, "job.toml")["model"] == "m"
    assert run(cli, "job.toml")["rows"]["total"] == 1
    report = run(cli, "job.toml", "--model", "of-the-flag", "--limit", "2")
    assert (report["model"], report["rows"]["total"]) == ("of-the-flag", 2)


def test_a_job_file_says_everything_that_flags_can(cli: Cli) -> None:
    cli.write(
        "job.toml",
        """
        kind = "classify"
        input = "tickets.csv"
        model = "gpt-4.1-mini"
        output = "labelled.out"
        output_format = "jsonl"
        id = "id"
        max_cost = 0.5
        no_keep_input = true
        on_bad_row = "skip"
        header = { X-Team = "data" }
        param = { temperature = 0, stop = ["."] }
        [options]
        text = "body"
        labels = ["late", "other"]
        max_tokens = 10
        """,
    )

    ran = cli("run", "job.toml", "--simulate", "--json")

    assert ran.code == 0, ran.stderr
    assert ran.json["output"] == "labelled.out"
    records = [json.loads(line) for line in cli.read("labelled.out").splitlines()]
    assert {record["label"] for record in records} <= {"late", "other"}


def test_the_example_job_file_can_be_estimated(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parent.parent.parent.parent)

    assert cli("estimate", "examples/nightly.toml", "--json").json["rows"] == 360


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "embed"\nlimits = 3\n', "job.toml: no setting 'limits' (did you mean 'limit'?)"),
        ('input = "tickets.csv"\n', 'job.toml: kind = "…" is missing: there are chat, classify'),
        ('kind = "embed"\ntext = "a"\n[options]\ntext = "b"\n', "'text' is set twice, in"),
        ('kind = "embed"\nlimit = "x"\n', "'x' is not a valid integer (in job.toml)"),
        ('kind = "embed"\nlimit = true\n', "True has the wrong type (in job.toml)"),
        ('kind = "embed"\nlimit = 2.5\n', "'2.5' is not a valid integer (in job.toml)"),
        ('kind = "embed"\nsimulate = "yes"\n', "'yes' has the wrong type (in job.toml)"),
        ('kind = "embed\n', "job.toml is not valid TOML: "),
        ('kind = "embed"\nmodel = "m"\n', "INPUT is missing"),
        ('kind = "embd"\n', "no kind 'embd' (did you mean 'embed'?)"),
        ("x = " + "[" * 5_000 + "]" * 5_000, "job.toml is nested too deep"),
        ('kind = "embed"\nlimit = ' + "9" * 5_000, "job.toml is not valid TOML: "),
        ('kind = "embed"\nmodel = "m"\ninput = ["a.csv"]\n', "input is the path of one file"),
        ('kind = "embed"\nmodel = "m"\ninput = "a\\u0000.csv"\n', "holds a NUL character"),
        (f"{JOB}output = 'o'\n[header]\nX-A = [1]\n", "the value of --header X-A is not text"),
        (f'{JOB}output = "o\\u0000.csv"\n', "the output 'o\\x00.csv' is not a path"),
        (f"{JOB}timeout = inf\n", "--timeout must be at most"),
        (f"{JOB}grace_seconds = nan\n", "--grace-seconds is a number of seconds"),
        (
            "kind = 'classify'\ninput = 'tickets.csv'\nmodel = 'm'\ntext = 'body'\n"
            'labels_file = "l\\u0000.txt"\n',
            "cannot be read: it names no file",
        ),
    ],
)
def test_a_wrong_job_file_is_one_clear_error(cli: Cli, text: str, message: str) -> None:
    cli.write("job.toml", text)

    ran = cli("run", "job.toml")

    assert ran.code == 2
    assert message in ran.stderr
    assert ran.stderr.startswith("error: ")


def test_a_job_file_may_begin_with_a_byte_order_mark_and_name_a_number_in_a_header(
    cli: Cli,
) -> None:
    cli.write("job.toml", f"\ufeff{JOB}[header]\nX-Team = 5\n")

    assert cli("run", "job.toml", "--json").json["rows"]["done"] == 3


def test_a_job_file_that_is_not_there_is_one_clear_error(cli: Cli) -> None:
    for name in ("gone.toml", f"{'x' * 300}.toml", "tickets.csv/job.toml"):
        ran = cli("run", name)
        assert (ran.code, "error: " in ran.stderr) == (2, True)
        assert "unforeseen" not in ran.stderr


def test_a_number_that_is_too_low_is_the_same_error_in_a_flag_and_in_a_job_file(cli: Cli) -> None:
    cli.write("p.j2", "{{ body }}")
    cli.write(
        "job.toml", "kind='chat'\ninput='tickets.csv'\nmodel='m'\nprompt='p.j2'\nmax_tokens=0\n"
    )
    typed = cli("run", "chat", "tickets.csv", "--model", "m", "--prompt", "p.j2", "--max-tokens=0")

    assert typed == cli("run", "job.toml")
    assert typed.code == 2
    assert typed.stderr.endswith("error: --max-tokens must be at least 1, not 0\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('model = "m"\n', "no setting 'model' on the top level"),
        ("[defaults]\nrpms = 1\n[profiles.staging]\n", "[profiles.staging]: no setting 'rpms'"),
        ("[profiles.other]\n", "no profile 'staging' in batcher.toml: there are other"),
        ("[profiles]\nstaging = 1\n", "batcher.toml: [defaults] and [profiles.NAME] are tables"),
        ("[profiles.staging]\nrpm = 'x'\n", "(in batcher.toml [profiles.staging])"),
    ],
)
def test_a_wrong_batcher_toml_is_one_clear_error(cli: Cli, text: str, message: str) -> None:
    cli.write("batcher.toml", text)

    ran = cli("run", *EMBED, "--model", "m", "--profile", "staging")

    assert ran.code == 2
    assert message in ran.stderr


def test_a_profile_without_a_file_is_an_error(cli: Cli) -> None:
    ran = cli("jobs", "--profile", "staging")

    assert ran.code == 2
    assert "no profile 'staging': there is no batcher.toml in this directory" in ran.stderr


def test_a_profile_may_hold_what_only_other_commands_and_kinds_know(cli: Cli) -> None:
    cli.write("batcher.toml", "[defaults]\ndb = 'elsewhere.db'\nlabels = 'a,b'\nprompt = 'p'\n")

    assert run(cli, *EMBED, "--model", "m")["status"] == "complete"
    assert (cli.directory / "elsewhere.db").exists()
    assert len(cli("jobs", "--json").json) == 1


def test_the_database_may_be_named_by_the_environment(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_DATABASE_URL", "sqlite:///named.db")

    assert cli("db", "upgrade").code == 0

    assert cli("jobs").code == 0
    assert (cli.directory / "named.db").exists()
    assert not (cli.directory / ".batcher").exists()


def test_the_base_url_may_come_from_the_variable_that_everybody_uses(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense")

    ran = cli("run", *EMBED, "--model", "m")

    assert (
        "error: --base-url 'nonsense' does not begin with http:// or https://: write" in ran.stderr
    )


def test_pairs_come_from_the_environment_one_a_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_PARAM", "user=me\nseed=3")
    monkeypatch.setenv("BATCHER_HEADER", "X-Team: data team\n")

    assert run(cli, *EMBED, "--model", "m")["status"] == "complete"
    assert (
        "--header 'X-Team:data team' --param 'user=\"me\"' --param seed=3"
        in cli("retry", cli.job(), "--json").json["command"]
    )


TOLD_IN_WORDS = {"delimiter", "encoding", "max_input_bytes", "max_answer_bytes"}


def test_help_shows_the_defaults_that_the_specification_has() -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(JobSpec)}
    for option in job_options():
        assert option.spec in defaults
        shown = (option.help or "").partition("[default: ")[2].rstrip("]")
        if shown and option.spec not in TOLD_IN_WORDS:
            default = defaults[option.spec or ""]
            assert shown == (f"{default:g}" if isinstance(default, float) else str(default))


def test_every_field_of_the_specification_has_its_option() -> None:
    fields = {field.name for field in dataclasses.fields(JobSpec)}

    assert {option.spec for option in job_options()} == fields - {"kind", "input", "options", "via"}
    assert {"via"} <= {option.name for option in run_options()}


def labels_of(cli: Cli, *arguments: str) -> list[str]:
    """The labels of a job, as its description keeps them."""
    ran = cli(
        "run", "classify", "tickets.csv", "--text", "body", "--model", "m", "--simulate", "--json",
        *arguments,
    )  # fmt: skip
    assert ran.code == 0, ran.stderr
    with closing(sqlite3.connect(".batcher/batcher.db")) as database:
        query = "SELECT spec FROM job WHERE id = ?"
        (spec,) = database.execute(query, (ran.json["job"],)).fetchone()
    labels: list[str] = json.loads(spec)["job"]["options"]["labels"]
    return labels


def test_labels_are_read_as_one_record_of_csv(cli: Cli) -> None:
    assert labels_of(cli, "--labels", 'card,"transfer, abroad"') == ["card", "transfer, abroad"]


def test_label_may_be_given_many_times(cli: Cli) -> None:
    assert labels_of(cli, "--label", "card", "--label", "transfer, abroad") == [
        "card",
        "transfer, abroad",
    ]
    assert labels_of(cli, "--labels", "a,b", "--label", "c,d") == ["a", "b", "c,d"]


def test_labels_of_the_environment(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHER_LABEL", "card\r\ntransfer, abroad\n")
    assert labels_of(cli) == ["card", "transfer, abroad"]
    monkeypatch.setenv("BATCHER_LABELS", '"x, y"')
    assert labels_of(cli) == ["x, y", "card", "transfer, abroad"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ('labels = ["card", "transfer, abroad"]', ["card", "transfer, abroad"]),
        ('labels = "card,\\"transfer, abroad\\""', ["card", "transfer, abroad"]),
        ('label = ["a,b", "c"]', ["a,b", "c"]),
        ("labels = [1, 2.5, true]", ["1", "2.5", "true"]),
    ],
)
def test_a_list_of_labels_in_a_file_is_a_list(cli: Cli, text: str, labels: list[str]) -> None:
    cli.write("batcher.toml", f"[defaults]\n{text}\n")
    assert labels_of(cli) == labels
    cli.write("batcher.toml", "")
    cli.write(
        "job.toml",
        f'kind = "classify"\ninput = "tickets.csv"\ntext = "body"\nmodel = "m"\n{text}\n',
    )
    ran = cli("run", "job.toml", "--simulate", "-o", "out.jsonl")
    assert ran.code == 0, ran.stderr
    assert {json.loads(line)["label"] for line in cli.read("out.jsonl").splitlines()} <= set(labels)


def test_an_option_that_is_one_text_takes_no_list(cli: Cli) -> None:
    cli.write(
        "job.toml", 'kind = "embed"\ninput = "tickets.csv"\noverlong = ["a", "b"]\nmodel = "m"\n'
    )
    ran = cli("estimate", "job.toml")
    assert ran.code == 2
    assert "['a', 'b'] has the wrong type (in job.toml)" in ran.stderr


def test_a_command_that_means_the_same_quotes_its_labels(cli: Cli) -> None:
    labels = ["card", "transfer, abroad", 'say "hi"']
    spec = JobSpec(
        kind="classify", input="in.csv", model="m", options={"text": "t", "labels": labels}
    )
    words = shlex.split(command_of(spec))
    text = words[words.index("--labels") + 1]
    assert list(read_record("--labels", text)) == labels


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("seed=12345678901234567890123", b'"seed":12345678901234567890123'),
        ("x=[1e300,-0.5]", b'"x":[1e+300,-0.5]'),
        ("x=" + "7" * 5000, b'"x":' + b"7" * 5000),
        ("x=NaN", b'"x":"NaN"'),
    ],
)
def test_a_parameter_keeps_all_its_digits(cli: Cli, typed: str, sent: bytes) -> None:
    bodies: list[bytes] = []

    class Keeping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(400)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Keeping) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            cli(
                "run", "embed", "tickets.csv", "--text", "body", "--model", "m", "--param", typed,
                "--base-url", f"http://127.0.0.1:{server.server_port}/v1", "--quiet",
                "--api-key-env", "NONE",
            )  # fmt: skip
        finally:
            server.shutdown()
    assert bodies
    assert all(sent in body for body in bodies)
