"""What holds for the files of the repository themselves, whoever wrote them."""

from __future__ import annotations

import ast
import csv
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from batcher.adapters.providers.catalog import model_facts
from batcher.core.kind import Endpoint

ROOT = Path(__file__).resolve().parent.parent
LINES_AT_MOST = 400
NAMES_THAT_SAY_NOTHING = {"utils.py", "helpers.py", "manager.py", "common.py"}

# Each is written in two parts, so that this file does not hold what it looks for.
FOREIGN = re.compile(
    "|".join(
        [
            r"\bpypi\." + r"(org|python\.org)",
            r"\bpython" + r"hosted\.org",
            r"(?<![\w.}])/" + r"work/",
            r"(?<![\w.}])/" + r"root/",
            r"(?<![\w.}])/" + r"home/\w",
            r"(?<![\w.}])/" + r"Users/\w",
            r"/tmp/" + r"bash_jobs",
            r"/opt/" + r"(pypi|wheels)",
        ]
    )
)
MODEL = re.compile(r"\b(?:(?:chatgpt|gpt|text-embedding|whisper)-[\w.-]*\w|o[1-9](?:-\w+)?)\b")
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")


def tracked(*patterns: str) -> list[Path]:
    """The files that git tracks and that still exist, below ``patterns``."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--", *patterns],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [ROOT / name for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


def findings(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """Where ``pattern`` occurs, as ``file:line``; files that are no text have no lines."""
    found = []
    for path in paths:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        found += [f"{name}:{n}" for n, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def imported_roots(path: Path) -> set[str]:
    """What a module imports at run time: ``batcher.core`` or the name of a top-level package."""
    names = imported_modules(path)
    return {name if name.startswith("batcher.core") else name.split(".")[0] for name in names}


def imported_modules(path: Path) -> set[str]:
    """The modules that a module imports at run time."""
    found: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        pending += ast.iter_child_nodes(node)
    return found


def test_every_file_is_text() -> None:
    """What a trial left behind, a database say, would bring along where it was made."""
    binary = []
    for path in tracked():
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            binary.append(str(path.relative_to(ROOT)))
    assert binary == []


def test_no_file_names_a_package_host_or_a_path_of_one_machine() -> None:
    assert findings(FOREIGN, tracked()) == []


def test_no_file_holds_a_marker_of_unfinished_work() -> None:
    assert findings(UNFINISHED, tracked()) == []


def test_every_module_is_short_enough_to_hold_one_noun() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in tracked("batcher/*.py", "jobs/*.py")
    }
    assert {name: size for name, size in sizes.items() if size > LINES_AT_MOST} == {}


def test_every_module_is_named_for_what_it_holds() -> None:
    assert [path for path in tracked("*.py") if path.name in NAMES_THAT_SAY_NOTHING] == []


def test_the_core_imports_the_standard_library_and_itself() -> None:
    foreign = {
        (path.name, name)
        for path in tracked("batcher/core/*.py")
        for name in imported_roots(path)
        if not name.startswith("batcher.core") and name not in sys.stdlib_module_names
    }
    assert foreign == set()


def test_nothing_that_is_installed_imports_a_folder_by_the_name_that_it_has_here_alone() -> None:
    """Installed, `jobs` and `migrations` are `batcher.jobs` and `batcher.migrations`.

    Import contracts see `jobs` alone; that batcher knows nothing of its kinds holds for both names.
    """
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in tracked("batcher/*.py", "jobs/*.py", "migrations/*.py")
        for name in imported_modules(path)
        if name.split(".")[0] in ("jobs", "migrations")
        or (name.startswith("batcher.jobs") and path.is_relative_to(ROOT / "batcher"))
    }
    assert found == set()


@pytest.mark.parametrize("folder", ["scripts", ".ci"])
def test_every_script_can_be_run(folder: str) -> None:
    scripts = [path for path in tracked(folder) if not path.suffix]
    assert scripts
    for path in scripts:
        assert os.access(path, os.X_OK), f"{path} is not executable"
        assert path.read_bytes().startswith(b"#!"), f"{path} names no interpreter"


def test_the_table_of_states_is_what_the_core_allows() -> None:
    script = [sys.executable, str(ROOT / "scripts/make-state-table"), "--stdout"]
    made = subprocess.run(script, capture_output=True, text=True, check=True).stdout

    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")

    assert made == page, "run scripts/make-state-table"
    assert "| paused | paused | open | | open | cancelled |\n" in page


def test_every_direct_dependency_is_pinned_by_the_constraints() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(name for extra in extras.values() for name in extra)]
    names = {re.split(r"[^\w.-]", line, maxsplit=1)[0].replace("_", "-").lower() for line in wanted}
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].replace("_", "-").lower() for line in pins if "==" in line}
    assert names - pinned == set()


def test_people_are_told_of_models_that_stay_and_that_can_be_counted_and_priced() -> None:
    """What a model's end leaves behind is a first command that fails.

    `gpt-6-luna` is what OpenAI names in place of those that end by January 2027; of
    `text-embedding-3-small` no end is announced. docs/real-model.md tells of another's.
    """
    pages = tracked(
        "README.md", "docs", "examples", "scripts", "batcher/cli", "batcher/__init__.py"
    )
    named = {
        name
        for path in pages
        if path.name != "real-model.md"
        for name in MODEL.findall(path.read_text(encoding="utf-8"))
    }
    assert named == {"gpt-6-luna", "text-embedding-3-small"}

    openai = "https://api.openai.com/v1"
    for name, endpoint in (
        ("gpt-6-luna", Endpoint.CHAT),
        ("text-embedding-3-small", Endpoint.EMBEDDINGS),
    ):
        facts = model_facts(name, endpoint, openai)
        assert facts.price is not None, name
        assert facts.context_tokens is not None, name


def test_the_example_tickets_are_distinct_and_spread_evenly_over_the_example_labels() -> None:
    with (ROOT / "examples/tickets.csv").open(encoding="utf-8", newline="") as file:
        tickets = list(csv.DictReader(file))
    labels = (ROOT / "examples/labels.txt").read_text(encoding="utf-8").split()
    count = Counter(ticket["label"] for ticket in tickets)

    assert set(count) == set(labels)
    assert max(count.values()) - min(count.values()) <= 1
    for column in ("id", "body"):
        assert len({ticket[column] for ticket in tickets}) == len(tickets) == 360
