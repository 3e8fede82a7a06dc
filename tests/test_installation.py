"""What is installed: one top-level package, in projects that have `jobs` and `migrations` too."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BACKEND = [sys.executable, "-m", "hatchling", "build"]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
OFFLINE = ["--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
OURS = ("jobs", "migrations", "tests", "scripts", "benchmarks")
PROJECT = {
    "in.csv": "id,body\na,first text\nb,second text\n",
    "jobs/__init__.py": "OWNER = 'the project'\n",
    "jobs/chat.py": "OWNER = 'the project'\n",
    "migrations/__init__.py": "OWNER = 'the project'\n",
    "migrations/env.py": "raise AssertionError('an env of the project was run')\n",
    "batcher/notes.txt": "A folder of this name is no package.\n",
    "program.py": """\
import jobs  # before batcher; the other one after it
import batcher

report = batcher.run(
    kind="embed", input="in.csv", model="text-embedding-3-small", id="id",
    options={"text": "body", "dimensions": 8}, simulate=True, output="python.jsonl",
)
import jobs.chat
import migrations

assert {jobs.OWNER, jobs.chat.OWNER, migrations.OWNER} == {"the project"}
print(report.status, batcher.__file__)
""",
}


@dataclass(frozen=True)
class Environment:
    """An environment with what batcher depends on; batcher itself is yet to be installed."""

    root: Path

    @property
    def packages(self) -> Path:
        """Its own site-packages: a pointer to the dependencies, and what is installed."""
        places = {"base": str(self.root), "platbase": str(self.root)}
        return Path(sysconfig.get_path("purelib", "venv", vars=places))

    def run(self, command: Sequence[str | Path], where: Path) -> str:
        """What a program of it printed, started in ``where``."""
        program, *arguments = command
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BATCHER_", "OPENAI_", "PYTHON"))
        }
        ran = subprocess.run(
            [self.root / "bin" / program, *arguments],
            cwd=where,
            env=clean | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """Empty but for the dependencies, which are borrowed: no network is needed."""
    made = Environment(tmp_path / "environment")
    venv.create(made.root, symlinks=True)
    borrowed = tmp_path / "dependencies"
    borrowed.mkdir()
    for name in ("purelib", "platlib"):
        for entry in Path(sysconfig.get_path(name)).iterdir():
            link = borrowed / entry.name
            if not entry.name.startswith(("batcher", "_batcher")) and not link.exists():
                link.symlink_to(entry)
    (made.packages / "dependencies.pth").write_text(f"{borrowed}\n")
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project, with packages whose names are those of this repository's folders."""
    root = tmp_path / "project"
    for name, text in PROJECT.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def call(command: Sequence[str | Path]) -> None:
    """A step that must succeed."""
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def build(target: str, directory: Path) -> Path:
    """The wheel or the sdist of this checkout."""
    call([*BACKEND, "--target", target, "--directory", directory])
    (made,) = directory.iterdir()
    return made


def install(form: str, environment: Environment, scratch: Path) -> None:
    """Install batcher as ``form`` has it."""
    if form == "editable":
        what: list[str | Path] = ["--editable", ROOT]
    else:
        what = [build(form, scratch / "dist")]
    call([*PIP, "--python", environment.root / "bin" / "python", "install", *OFFLINE, *what])


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("form", ["wheel", "sdist", "editable"])
def test_jobs_run_in_a_project_that_has_packages_of_these_names(
    form: str, environment: Environment, project: Path, tmp_path: Path
) -> None:
    install(form, environment, tmp_path)

    status, place = environment.run(["python", "program.py"], project).split()
    embedded = (project / "python.jsonl").read_text().splitlines()
    assert status == "complete"
    assert [json.loads(line)["id"] for line in embedded] == ["a", "b"]
    assert Path(place).is_relative_to(ROOT if form == "editable" else environment.packages)

    options = ["--text", "body", "--labels", "x,y", "--model", "gpt-6-luna", "--simulate"]
    for batcher in (["batcher"], ["python", "-m", "batcher"]):
        name = f"{len(batcher)}.csv"
        environment.run([*batcher, "run", "classify", "in.csv", *options, "-o", name], project)
        with (project / name).open(newline="") as file:
            assert [row["id"] for row in csv.DictReader(file)] == ["a", "b"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("form", ["wheel", "sdist", "editable"])
def test_one_top_level_package_is_installed(
    form: str, environment: Environment, tmp_path: Path
) -> None:
    before = {entry.name for entry in environment.packages.iterdir()}
    install(form, environment, tmp_path)

    added = {entry.name for entry in environment.packages.iterdir()} - before
    (information,) = environment.packages.glob("batcher_jobs-*.dist-info")
    with (information / "RECORD").open(newline="") as file:
        recorded = {row[0].split("/")[0] for row in csv.reader(file)} - {".."}
    package = "_batcher_jobs.pth" if form == "editable" else "batcher"
    assert recorded == added == {package, information.name}

    look = f"from importlib.util import find_spec; print([n for n in {OURS} if find_spec(n)])"
    assert environment.run(["python", "-c", look], tmp_path).strip() == "[]"


def test_the_wheel_of_the_sdist_is_the_wheel_of_the_checkout(tmp_path: Path) -> None:
    whole = build("wheel", tmp_path / "whole")
    sdist = build("sdist", tmp_path / "sdist")
    call([*PIP, "wheel", *OFFLINE, "--wheel-dir", tmp_path / "again", sdist])
    (again,) = (tmp_path / "again").iterdir()

    def contents(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    assert contents(again) == contents(whole)
    assert "batcher/migrations/script.py.mako" in contents(whole)
