"""Prompts in the line, in a job file and in files: what each is taken for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Cli

CHAT = ["run", "chat", "tickets.csv", "--model", "m", "-o", "out.jsonl"]


def test_a_prompt_in_the_line_and_a_file_of_the_same_text_are_one_job(cli: Cli) -> None:
    text = "Answer: {{ title }}"
    cli.write("prompt.j2", text)
    typed = cli(*CHAT, "--prompt", text, "--system", "You are terse", "--simulate", "--json").json
    named = cli(
        *CHAT, "--prompt", "prompt.j2", "--system", "You are terse", "--simulate", "--json",
        "--overwrite",
    ).json  # fmt: skip
    assert typed["rows"]["done"] == 3
    assert named["job"] == typed["job"]


def test_a_file_that_is_there_is_the_file_whatever_its_name(cli: Cli) -> None:
    cli.write("You are terse", "Speak of {{ body }}.")
    ran = cli(*CHAT, "--prompt", "{{ title }}", "--system", "You are terse", "--limit", "1",
              "--simulate", "--json")  # fmt: skip
    other = cli(*CHAT, "--prompt", "{{ title }}", "--system", "Speak of {{ body }}.", "--limit",
                "1", "--simulate", "--json", "--overwrite")  # fmt: skip
    assert ran.json["job"] == other.json["job"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "solve.j2"], "--prompt solve.j2 cannot be read: No such file"),
        (["--prompt", "{{ title }}", "--system", "a/b.txt"], "--system a/b.txt cannot be read"),
        (["--prompt", "Solve it"], "there is no such file, and as a text it uses no column"),
        (["--prompt", "Of {title}"], "{title} is plain text: a column is {{ title }}"),
        (["--prompt", "{{ titel }}"], "there is no column 'titel' (did you mean 'title'?)"),
        (["--text", "title,body"], "--text title --text body"),
        (["--text", "title", "--prompt", "{{ title }}"], "only one of --prompt or --text"),
    ],
)
def test_what_is_neither_is_told_apart(cli: Cli, arguments: list[str], message: str) -> None:
    ran = cli(*CHAT, *arguments, "--simulate")
    assert ran.code == 2
    assert message in ran.stderr
    assert cli("jobs", "--json").json == []


def test_a_long_text_or_one_with_a_nul_is_no_path(cli: Cli) -> None:
    for text in ("{{ title }} " + "a" * 5_000, "{{ title }} \0 b"):
        assert cli(*CHAT, "--prompt", text, "--simulate", "--overwrite").code == 0


def test_a_prompt_that_is_constant_is_sent_where_that_is_said(cli: Cli) -> None:
    assert cli(*CHAT, "--prompt", "Tell a joke", "--constant-prompt", "--simulate").code == 0


def test_a_note_points_out_a_column_in_single_braces(cli: Cli) -> None:
    for command in ("run", "estimate"):
        ran = cli(command, *CHAT[1:], "--prompt", "{{ title }} {body}", "--simulate")
        assert "note: --prompt: {body} is plain text: a column is {{ body }}" in ran.stderr


JOB = 'kind = "{kind}"\ninput = "tickets.csv"\nmodel = "m"\nsimulate = true\n'


def test_a_job_file_holds_prompts_or_names_files_beside_it(cli: Cli) -> None:
    (cli.directory / "jobs").mkdir()
    cli.write("jobs/prompt.j2", "Of {{ title }}")
    cli.write("here.txt", "You are terse")
    job = JOB.format(kind="chat")
    cli.write("jobs/named.toml", f'{job}prompt = "prompt.j2"\nsystem = "here.txt"\n')
    cli.write("jobs/held.toml", f'{job}prompt = "Of {{{{ title }}}}"\nsystem = "You are terse"\n')
    named, held = (cli("run", f"jobs/{name}.toml", "--json") for name in ("named", "held"))
    assert named.code == 0, named.stderr
    assert named.json["job"] == held.json["job"]


@pytest.mark.parametrize("text", ['["title", "body"]', '"title"'])
def test_a_job_file_names_one_column_or_several(cli: Cli, text: str) -> None:
    cli.write("job.toml", f"{JOB.format(kind='embed')}text = {text}\n")
    ran = cli("run", "job.toml", "--json")
    flags = [word for name in ("title", "body") if name in text for word in ("--text", name)]
    typed = cli("run", "embed", "tickets.csv", *flags, "--model", "m", "--simulate", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.json["job"] == typed.json["job"]


def test_the_environment_names_columns_one_a_line(cli: Cli, monkeypatch: Any) -> None:
    monkeypatch.setenv("BATCHER_TEXT", "title\nbody")
    assert cli("run", "embed", "tickets.csv", "--model", "m", "--simulate").code == 0
