from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from batcher.cli.root import root
from batcher.cli.screen import screens
from batcher.simulator import Simulator
from tests.cli.provider import provider

TICKETS = (
    "id,title,body\n"
    "a1,Late,My parcel is late\n"
    "a2,Twice,I was charged twice\n"
    "a3,Blank,The page stays blank\n"
)


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and both streams."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


class Cli:
    """Runs commands in this process, in the test's own directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(self, *arguments: str, stdin: str | None = None) -> Outcome:
        result = CliRunner().invoke(root, list(arguments), input=stdin, prog_name="batcher")
        return Outcome(result.exit_code, result.stdout, result.stderr)

    def job(self) -> str:
        """The id of the newest job."""
        return str(self("jobs", "--json").json[0]["job"])

    def write(self, name: str, text: str) -> str:
        (self.directory / name).write_text(text, encoding="utf-8")
        return name

    def read(self, name: str) -> str:
        return (self.directory / name).read_text(encoding="utf-8")


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Commands in an empty directory with ``tickets.csv``, and none of the user's settings.

    What is said depends on no time: how a run is told that lasts is
    :mod:`tests.cli.screen.test_progress`.
    """
    monkeypatch.setattr(screens, "PLAIN_SECONDS", math.inf)
    monkeypatch.setattr(screens.PlainScreen, "waiting", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("BATCHER_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-test")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    cli = Cli(tmp_path)
    cli.write("tickets.csv", TICKETS)
    yield cli
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A provider without limits or faults."""
    with provider() as running:
        yield running


def embed_file(cli: Cli, source: str, *arguments: str) -> str:
    """Embed a file; returns the job."""
    what = ("--text", "body", "--id", "id", "--model", "text-embedding-3-small", "--simulate")
    job: str = cli("run", "embed", source, *what, *arguments, "--json").json["job"]
    return job
