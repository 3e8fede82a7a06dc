"""Every command and every option is documented, and the page in docs/ says the same."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import click
import pytest

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.cli.options.kind_group import KindGroup
from batcher.cli.root import ENTRIES, root
from tests.cli.conftest import Cli

ROOT = Path(__file__).resolve().parent.parent.parent.parent
HEAVY = {"aiohttp", "asyncio", "numpy", "orjson", "pyarrow", "rich", "sqlalchemy", "tiktoken"}


def contexts(
    command: click.Command = root, parent: click.Context | None = None
) -> Iterator[click.Context]:
    name = command.name if parent else "batcher"
    settings = {**command.context_settings, "terminal_width": 80}  # wherever the tests run
    ctx = click.Context(command, info_name=name, parent=parent, **settings)
    yield ctx
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from contexts(child, ctx)


COMMANDS = list(contexts())


@pytest.mark.parametrize("ctx", COMMANDS, ids=lambda ctx: ctx.command_path)
def test_every_command_has_a_help_an_example_and_documented_options(ctx: click.Context) -> None:
    command = ctx.command
    assert (command.help or "").strip()
    assert getattr(command, "examples", ())
    options = [param for param in command.params if isinstance(param, click.Option)]
    assert [option.name for option in options if not (option.help or "").strip()] == []
    text = command.get_help(ctx)
    assert "Example" in text
    for option in options:
        assert option.hidden or option.opts[-1] in text


def test_the_list_of_commands_says_what_each_command_says_of_itself() -> None:
    ctx = click.Context(root)
    for name, entry in ENTRIES.items():
        command = root.get_command(ctx, name)
        assert command is not None
        assert command.name == name
        assert entry.summary.endswith(".")


def test_every_flag_names_its_variable_once_a_command() -> None:
    for ctx in COMMANDS:
        names: list[str] = []
        for param in ctx.command.params:
            if isinstance(param, click.Option) and param.envvar:
                names += [param.envvar] if isinstance(param.envvar, str) else param.envvar
        assert len(names) == len(set(names)), ctx.command_path


def test_the_reference_is_what_the_commands_say() -> None:
    script = [sys.executable, str(ROOT / "scripts/make-command-reference"), "--stdout"]
    made = subprocess.run(script, capture_output=True, text=True, check=True).stdout

    page = (ROOT / "docs/commands.md").read_text(encoding="utf-8")

    assert made == page, "run scripts/make-command-reference"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, batcher.cli.root as r\n"
        "try: r.root.main(['--help'], 'batcher')\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "Usage: batcher" in ran.stdout
    loaded = {name.partition(".")[0] for name in ran.stderr.split()}
    assert loaded & HEAVY == set()
    assert not any(name.startswith("batcher.engine") for name in ran.stderr.split())


def test_help_of_a_kind_shows_its_own_options_first(cli: Cli) -> None:
    shown = cli("run", "classify", "--help").stdout

    assert shown.startswith("Usage: batcher run classify INPUT -o OUTPUT [OPTIONS]\n")
    headings = [line for line in shown.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == [
        "Options of classify:", "Common options:", "Input:", "Runs that repeat:",
        "Model and provider:", "Limits and budget:",
        "When something goes wrong:", "Output:", "General:", "Example:",
    ]  # fmt: skip


def test_an_unknown_command_says_what_was_probably_meant(cli: Cli) -> None:
    ran = cli("statsu")

    assert ran.code == 2
    assert ran.stderr == (
        "error: no command 'statsu' (did you mean 'status'?)\n       batcher --help says more\n"
    )


EXAMPLES = [
    (ctx.command_path, example)
    for ctx in COMMANDS
    for example in getattr(ctx.command, "examples", ())
    if re.match(r"batcher (run|estimate|preview) ", example)
]


@pytest.mark.parametrize(("path", "example"), EXAMPLES, ids=[f"{p}-{e[:30]}" for p, e in EXAMPLES])
def test_every_example_of_a_job_works_as_it_stands(cli: Cli, path: str, example: str) -> None:
    for name in ("articles.csv", "tickets.csv", "INPUT.csv"):
        cli.write(name, "id,title,body\n1,A,first\n2,B,second\n")
    cli.write("answer.j2", "{{ body }}")
    cli.write("batcher.toml", '[providers.azure]\nbase_url = "https://a.example/v1"\n')
    cli.write("nightly.toml", 'kind = "embed"\ninput = "INPUT.csv"\nmodel = "m"\ntext = "body"\n')

    _, *arguments = shlex.split(example.replace("\\\n", " "))
    ran = cli(*arguments, "--simulate")

    assert ran.code == 0, ran.stderr


def test_help_may_be_asked_for_briefly(cli: Cli) -> None:
    for command in ([], ["run"], ["run", "embed"], ["jobs"], ["db", "purge"]):
        assert cli(*command, "-h").stdout == cli(*command, "--help").stdout


def test_no_option_is_torn_by_the_end_of_a_line() -> None:
    for ctx in COMMANDS:
        assert not [line for line in ctx.command.get_help(ctx).splitlines() if line.endswith("-")]


def test_the_version_is_printed(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("batcher 0.")


def test_a_kind_that_cannot_be_imported_hides_no_other(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = EntryPoint(name="broken", value="nothing.there:KIND", group="batcher.kinds")
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), broken],
    )
    monkeypatch.setattr(KindGroup, "kinds", property(lambda _: InstalledKinds()))

    shown = " ".join(cli("run", "--help").stdout.split())
    ran = cli("run", "broken", "tickets.csv")

    assert "One label out of a given set for each row." in shown
    assert "cannot be imported: ModuleNotFoundError" in shown
    assert ran.code == 2
    assert ran.stderr.startswith("error: the kind 'broken' (nothing.there:KIND) cannot be imported")
