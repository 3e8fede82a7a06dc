"""What holds rows is its owner's alone, whatever the umask; outputs are as the umask says."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.adapters.sources.spool import Spool
from batcher.adapters.system.job_lock import job_lock
from batcher.adapters.system.private_files import make_database, make_folder
from batcher.adapters.system.row_index import SqliteRowIndex
from tests.waiting import wait_until

BATCHER = Path(sys.executable).with_name("batcher")
MODEL = ("--model", "text-embedding-3-small", "--simulate")


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=lambda umask: f"umask {umask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):03o}"


def modes(directory: Path) -> dict[str, str]:
    """The rights of all that is in a directory, and of itself."""
    return {str(path): mode(path) for path in [directory, *directory.rglob("*")]}


def open_to_others(directory: Path) -> dict[str, str]:
    return {name: rights for name, rights in modes(directory).items() if rights[1:] != "00"}


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("BATCHER_", "OPENAI_"))}
    return subprocess.Popen(
        [BATCHER, *arguments], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_all_that_runs_leave_behind_is_private_and_outputs_are_not(here: Path, umask: int) -> None:
    for night, rows in enumerate(("a,x\n", "a,x\nb,y\n")):
        command = ("run", "embed", "-", "--format", "csv", "--text", "t", "--id", "i", *MODEL)
        more = ("--name", "nightly", "--since-last", "-o", "out.jsonl")
        process = start(*command, *more)
        _, said = process.communicate("i,t\n" + rows)
        assert process.returncode == 0, (night, said)

    assert open_to_others(here / ".batcher") == {}
    assert mode(here / ".batcher") == "700"
    assert mode(here / ".batcher" / "batcher.db") == "600"
    assert not (here / ".batcher" / "spool").exists()  # it was made for the copy alone
    for name in ("out.jsonl", "out.jsonl.manifest.json"):
        assert mode(here / name) == f"{0o666 & ~umask:03o}"


def test_what_a_killed_run_leaves_behind_is_private(here: Path, umask: int) -> None:
    (here / "in.csv").write_text("t\n" + "".join(f"text {n}\n" for n in range(20_000)))
    process = start("run", "embed", "in.csv", "--text", "t", *MODEL, "--max-inputs", "4")
    wal = here / ".batcher" / "batcher.db-wal"
    wait_until(lambda: wal.exists() and bool(wal.stat().st_size), "a database at work")
    assert process.poll() is None, process.communicate()
    seen = modes(here / ".batcher")
    process.send_signal(signal.SIGKILL)
    process.communicate()

    assert {Path(name).name for name in seen} >= {"batcher.db", "batcher.db-wal", "batcher.db-shm"}
    assert {rights for name, rights in seen.items() if Path(name).is_dir()} == {"700"}
    assert open_to_others(here / ".batcher") == {}


def test_what_an_earlier_version_left_open_is_closed(here: Path, umask: int) -> None:
    state = here / ".batcher"
    (state / "spool").mkdir(parents=True)
    (state / "batcher.db.locks").mkdir()
    names = ("batcher.db", "batcher.db-wal", "batcher.db-shm", "batcher.db.locks/j.lock")
    for name in names:
        (state / name).touch()
        (state / name).chmod(0o644)
    for directory in (state, state / "spool", state / "batcher.db.locks"):
        directory.chmod(0o777)

    make_folder(state)
    make_database(state / "batcher.db")
    with job_lock(state / "batcher.db.locks", "j"):
        Spool(state / "spool", source="-").close()

    assert open_to_others(state) == {}


def test_a_database_elsewhere_is_private_from_its_first_moment(here: Path, umask: int) -> None:
    place = here / "deep" / "jobs.db"
    make_folder(place.parent)
    make_database(place)
    with job_lock(place.with_name("jobs.db.locks"), "j"):
        assert open_to_others(place.with_name("jobs.db.locks")) == {}

    assert mode(place) == "600"
    assert mode(place.parent) == f"{0o777 & ~umask:03o}"  # the user may keep other things there


def test_a_database_elsewhere_keeps_the_rights_that_its_owner_gave(here: Path) -> None:
    place = here / "jobs.db"
    place.touch()
    place.chmod(0o660)
    make_database(place)

    assert mode(place) == "660"


def test_copies_and_indexes_are_private_while_they_are_there(here: Path, umask: int) -> None:
    spool = Spool(here / ".batcher" / "spool", source="-")
    spool.write(b"a row")
    index = SqliteRowIndex(here / ".batcher" / "spool")
    descriptors = Path("/proc/self/fd").iterdir()
    held = [link for link in descriptors if ".batcher/spool" in str(os.path.realpath(link))]

    assert len(held) == 2
    assert {mode(link) for link in held} == {"600"}
    assert mode(here / ".batcher" / "spool") == "700"
    index.close()
    spool.close()
