"""Which Python `scripts/setup` takes, among those that a machine happens to have."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# An interpreter of any version: it says which one it is, makes environments of itself, and notes
# what it was asked to install.
FAKE = """\
#!/bin/sh
case "$*" in
    *version_info*) echo {version} ;;
    *base_prefix*) echo {version} ;;
    *"import ensurepip"*) ;;
    "-m venv --clear .venv")
        rm -rf .venv && mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo {version} >>made ;;
    *"-m pip install"*) echo {version} >>installed ;;
    --version) echo Python {version} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "scripts").mkdir(parents=True)
    for name in ("scripts/setup", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    return root


def put(where: Path, pythons: Mapping[str, str]) -> None:
    """Interpreters by these names, of these versions, in a folder."""
    where.mkdir(exist_ok=True)
    for name, version in pythons.items():
        (where / name).write_text(FAKE.format(version=version))
        (where / name).chmod(0o755)


def set_up(
    checkout: Path, pythons: Mapping[str, str], *, named: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run scripts/setup where these interpreters, and the usual tools, are all there is."""
    tools = checkout.parent / "tools"
    shutil.rmtree(tools, ignore_errors=True)
    put(tools, pythons)
    for name in (
        "sh",
        "cat",
        "cksum",
        "cp",
        "dirname",
        "grep",
        "mkdir",
        "rm",
        "sed",
        "sort",
        "tail",
    ):
        found = shutil.which(name)
        assert found is not None
        (tools / name).symlink_to(found)
    environment = {"PATH": str(tools)} | ({} if named is None else {"PYTHON": named})
    command = [str(tools / "sh"), str(checkout / "scripts/setup")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def versions(checkout: Path, of: str) -> list[str]:
    file = checkout / of
    return file.read_text().split() if file.exists() else []


@pytest.mark.parametrize(
    ("pythons", "taken"),
    [
        ({"python3": "3.11"}, "3.11"),
        ({"python3": "3.13"}, "3.13"),
        ({"python3": "3.11", "python3.13": "3.13"}, "3.11"),
        ({"python3": "3.14", "python3.12": "3.12", "python3.13": "3.13"}, "3.13"),
        ({"python3": "3.9", "python3.12": "3.12"}, "3.12"),
        ({"python3.11": "3.11"}, "3.11"),
    ],
)
def test_a_python_that_the_gate_is_tried_on_is_preferred(
    checkout: Path, pythons: dict[str, str], taken: str
) -> None:
    ran = set_up(checkout, pythons)

    assert (ran.returncode, versions(checkout, "made")) == (0, [taken]), ran.stderr
    assert versions(checkout, "installed") == [taken]
    assert f"installing into .venv (Python {taken})" in ran.stderr


def test_a_newer_one_alone_is_taken_and_said_to_be_untried(checkout: Path) -> None:
    ran = set_up(checkout, {"python3": "3.14"})

    assert versions(checkout, "made") == ["3.14"]
    assert "has not been tried on Python 3.14, but on 3.13 3.12 3.11" in ran.stderr


@pytest.mark.parametrize("pythons", [{}, {"python3": "3.10"}, {"python3": "2.7"}])
def test_without_any_it_says_what_to_do(checkout: Path, pythons: dict[str, str]) -> None:
    ran = set_up(checkout, pythons)

    assert ran.returncode == 1
    assert "needs Python 3.11 or newer" in ran.stderr
    assert "PYTHON=" in ran.stderr


def test_what_is_there_is_kept_until_another_is_named(checkout: Path) -> None:
    both = {"python3": "3.11", "python3.13": "3.13"}
    for named in (None, None, "python3", "python3.13", None, "python3.13"):
        ran = set_up(checkout, both, named=named)
        assert ran.returncode == 0, ran.stderr

    assert versions(checkout, "made") == versions(checkout, "installed") == ["3.11", "3.13"]


def test_one_that_is_named_and_cannot_be_run_is_not_replaced_by_another(checkout: Path) -> None:
    for named, pythons in (
        ("python3.13", {"python3": "3.11"}),
        ("python3.9", {"python3": "3.11", "python3.9": "3.9"}),
    ):
        ran = set_up(checkout, pythons, named=named)
        assert ran.returncode == 1
        assert f"PYTHON={named} is no Python" in ran.stderr
    assert versions(checkout, "made") == []


def test_one_that_pyenv_hides_is_found(checkout: Path, tmp_path: Path) -> None:
    """Its shims let only those names run that are chosen; any may be asked where it leads."""
    put(tmp_path / "hidden", {"python3.13": "3.13"})
    pythons = {"python3": "3.11"}
    set_up(checkout, pythons)
    for name, script in {
        "python3.13": "#!/bin/sh\nexit 127\n",
        "pyenv": f"#!/bin/sh\necho {tmp_path}/hidden/python3.13\n",
    }.items():
        (tmp_path / "shims").mkdir(exist_ok=True)
        (tmp_path / "shims" / name).write_text(script)
        (tmp_path / "shims" / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}/shims:{tmp_path}/tools", "PYTHON": "python3.13"}
    command = ["sh", str(checkout / "scripts/setup")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)

    assert ran.returncode == 0, ran.stderr
    assert versions(checkout, "made") == ["3.11", "3.13"]


def test_the_gate_says_which_python_it_runs_on_and_this_is_one_of_those_named() -> None:
    gate = (ROOT / "scripts/test").read_text(encoding="utf-8")
    said = [
        gate.index(line) for line in ("\nstep python --version\n", "\nstep pytest", "passed on")
    ]
    assert said == sorted(said)

    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers))
    assert named == ["3.11", "3.12", "3.13"]
