from __future__ import annotations

import errno
import gc
import io
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batcher.adapters.destinations import (
    check_output,
    draft_json,
    draft_json_lines,
    is_same,
    look,
    open_sink,
    read_drafts,
    read_json,
)
from batcher.core.errors import OutputError, OutputTaken, UsageError
from batcher.ports import OutputSink
from tests.files.writing import LABEL, VECTOR, batch, labels, names, schema, vectors, write

FORMATS = ("jsonl", "csv", "parquet", "jsonl.gz", "csv.zst", "npy")
ONE = labels({"id": "1", "text": "a"})

CRASH = """
import os, signal, sys
from batcher.adapters.destinations import open_sink
from tests.files.writing import labels, schema
sink = open_sink(sys.argv[1], schema=schema())
for i in range(20_000):
    sink.write(labels({"id": i, "text": "x" * 100}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def open_one(path: Path, form: str) -> OutputSink:
    """A sink with one record written."""
    vector = form == "npy"
    sink = open_sink(str(path), schema=schema(VECTOR if vector else LABEL))
    sink.write(batch([0], vectors=vectors([1, 2])) if vector else ONE)
    return sink


@pytest.mark.parametrize("form", FORMATS)
def test_an_output_is_absent_until_it_is_complete(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"o.{form}"
    sink = open_one(path, form)
    assert not path.exists()
    (part,) = names(tmp_path)
    assert part.startswith(f"o.{form}.part-{os.getpid()}-")
    sink.commit()
    assert names(tmp_path) == [f"o.{form}"]
    content = path.read_bytes()
    assert content
    sink.abort()
    assert path.read_bytes() == content


@pytest.mark.parametrize("form", FORMATS)
def test_an_abort_leaves_what_was_there(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"o.{form}"
    path.write_text("old")
    sink = open_one(path, form)
    sink.abort()
    sink.abort()
    assert names(tmp_path) == [path.name]
    assert path.read_text() == "old"


@pytest.mark.process
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_crash_leaves_the_old_file_and_the_next_run_tidies_up(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"o.{form}"
    path.write_text("old")
    (tmp_path / f"o.{form}.part-1").write_text("somebody's own file")
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", CRASH, str(path)], cwd=root, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 3
    open_one(path, form).commit()
    assert names(tmp_path) == [path.name, f"{path.name}.part-1"]


def test_two_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    first = open_one(path, "jsonl")
    second = open_one(path, "jsonl")
    assert len(names(tmp_path)) == 2
    first.commit()
    second.commit()
    assert names(tmp_path) == ["o.jsonl"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    link = tmp_path / "o.jsonl"
    link.symlink_to(real / "data.jsonl")
    write(link, schema(), ONE)
    assert link.is_symlink()
    assert names(real) == ["data.jsonl"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.touch()
    path.chmod(0o640)
    write(path, schema(), ONE)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "jsonl.gz"])
def test_standard_output(tmp_path: Path, form: str) -> None:
    kind = form.removesuffix(".gz")
    stdout = io.BytesIO()
    sink = open_sink("-", format=kind, schema=schema(), stdout=stdout)
    sink.write(ONE)
    sink.commit()
    sink.abort()
    assert stdout.getvalue() == write(tmp_path / f"o.{kind}", schema(), ONE).read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_full_disk(kind: str) -> None:
    sink = open_sink("/dev/full", format=kind, schema=schema())
    sink.write(ONE)
    with pytest.raises(OutputError) as error:
        sink.commit()
    assert str(error.value) == (
        "/dev/full: cannot be written: No space left on device: "
        "free some space and run the same command again"
    )
    assert error.value.exit_code == 1
    sink.abort()


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may have more than 64 kB: as on a disk that is full in between."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize(
    "kind", ["jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "parquet", "npy"]
)
def test_a_file_that_cannot_be_written_to_its_end(tmp_path: Path, kind: str) -> None:
    sink = open_sink(str(tmp_path / f"o.{kind}"), schema=schema(VECTOR))
    sink.write(batch(list(range(100)), vectors=np.random.default_rng(1).random((100, 500))))
    with pytest.raises(OutputError, match=rf"o\.{kind}: cannot be written: File too large$"):
        sink.commit()
    sink.abort()
    del sink
    gc.collect()  # whatever is given up says nothing, and writes nothing, when it goes
    assert names(tmp_path) == []


def test_a_device_is_never_replaced() -> None:
    write(Path("/dev/null"), schema(), ONE, format="jsonl")
    assert Path("/dev/null").is_char_device()


def test_wrong_targets(tmp_path: Path) -> None:
    gone = tmp_path / "gone" / "o.jsonl"
    for refuse in (check_output, open_sink):
        with pytest.raises(UsageError) as error:
            refuse(str(gone), schema=schema())
        assert str(error.value) == f"{gone}: there is no directory {gone.parent}: make it first"
        with pytest.raises(UsageError, match="is a directory: name a file in it"):
            refuse(str(tmp_path), format="csv", schema=schema())
        with pytest.raises(UsageError, match="the name does not tell the format: give --output-"):
            refuse("o.txt", schema=schema())
        with pytest.raises(UsageError, match="no output format 'xml': there are jsonl, csv, parq"):
            refuse("o.txt", format="xml", schema=schema())
        with pytest.raises(UsageError, match="parquet is not compressed as a whole"):
            refuse("o.parquet.gz", schema=schema())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_that_may_not_be_written_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="may not be written to"):
        check_output(str(tmp_path / "o.csv"), schema=schema())


def test_check_output_writes_nothing(tmp_path: Path) -> None:
    check_output(str(tmp_path / "o.csv"), schema=schema())
    check_output("-", format="parquet", schema=schema(VECTOR))
    check_output("/dev/null", format="csv", schema=schema())
    assert names(tmp_path) == []


async def stream(records: Iterable[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    for record in records:
        yield record


async def test_json_files(tmp_path: Path) -> None:
    lines = tmp_path / "o.errors.jsonl"
    records = stream([{"id": 2**70, "row": 0}, {"id": "ü"}])
    draft = await draft_json_lines(lines, records)
    assert not lines.exists()
    draft.commit()
    assert lines.read_text() == f'{{"id":{2**70},"row":0}}\n{{"id":"ü"}}\n'
    manifest = tmp_path / "o.manifest.json"
    assert read_json(manifest) is None
    draft_json(manifest, {"rows": {"done": 1}}).commit()
    assert json.loads(manifest.read_text()) == read_json(manifest) == {"rows": {"done": 1}}
    (await draft_json_lines(lines, stream([]))).commit()
    assert names(tmp_path) == ["o.manifest.json"]


async def test_json_lines_that_break_off_leave_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "o.errors.jsonl"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError):
        await draft_json_lines(path, stream({"n": 1 // n} for n in (1, 0)))
    assert names(tmp_path) == [path.name]
    assert path.read_text() == "old"


def test_what_a_killed_writer_was_about_to_put_there_is_read(tmp_path: Path) -> None:
    path = tmp_path / "o.manifest.json"
    draft = draft_json(path, {"job": "a"})
    assert read_drafts(path) == [{"job": "a"}]
    draft.abort()
    assert read_drafts(path) == []


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
async def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "o.json"
    drafts = [draft_json(path, {}, "nothing"), draft_json(path, {"mine": 1}, "nothing")]
    drafts[0].commit()
    with pytest.raises(OutputTaken, match="left alone"):
        drafts[1].commit()
    drafts[1].abort()
    assert read_json(path) == {}

    seen = look(path)
    late = draft_json(path, {"mine": 1}, seen)
    path.write_text("somebody wrote this")
    with pytest.raises(OutputTaken):
        late.commit()
    late.abort()
    removal = await draft_json_lines(path, stream([]), seen)
    with pytest.raises(OutputTaken):
        removal.commit()
    assert path.read_text() == "somebody wrote this"
    draft_json(path, {"mine": 2}, look(path)).commit()
    assert read_json(path) == {"mine": 2}
    assert names(tmp_path) == ["o.json"]


def test_paths_are_the_same_whatever_their_spelling(tmp_path: Path) -> None:
    one = tmp_path / "a.csv"
    one.touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "soft").symlink_to(one)
    (tmp_path / "around").symlink_to(tmp_path)
    os.link(one, tmp_path / "hard")
    spellings = ("a.csv", "folder/../a.csv", "./a.csv", "soft", "hard", "around/a.csv")

    assert all(is_same(one, tmp_path / spelling) for spelling in spellings)
    assert is_same(tmp_path / "not there", tmp_path / "around" / "not there")
    assert not is_same(one, tmp_path / "b.csv")


def test_a_name_of_unfinished_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unfinished"):
        check_output(str(tmp_path / "o.part-12-0123abcd"), format="csv", schema=schema())


def test_a_name_that_leaves_no_room_for_its_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too long"):
        check_output(str(tmp_path / ("n" * 230 + ".csv")), schema=schema())
    check_output(str(tmp_path / ("n" * 200 + ".csv")), schema=schema())


def test_a_manifest_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.json")
    assert read_json(tmp_path / "m.json") is None


@pytest.mark.parametrize("name", ["y" * 300, "a/" * 3_000 + "y", "y" * 221])
def test_a_path_that_is_too_long_is_refused_and_not_repeated_whole(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match="too long") as refused:
        check_output(str(tmp_path / f"{name}.jsonl"), schema=schema())
    assert len(str(refused.value)) < 200


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").symlink_to("b.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    with pytest.raises(UsageError, match=r"a\.csv"):
        look(tmp_path / "a.csv")


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_records_on_a_terminal_are_shown_and_not_obeyed(kind: str) -> None:
    evil = "é\x1b[2J\x9b1m\u202ex"
    shown = {}
    for stdout in (Terminal(), io.BytesIO()):
        sink = open_sink("-", format=kind, schema=schema(), stdout=stdout)
        sink.write(labels(*({"id": f"{n}{evil}", "text": "a"} for n in range(3))))
        sink.commit()
        shown[type(stdout)] = stdout.getvalue().decode()

    assert shown[Terminal].count("\n") == shown[io.BytesIO].count("\n") >= 3
    assert "é" in shown[Terminal]
    assert all(c.isprintable() or c == "\n" for c in shown[Terminal])
    assert "\x9b" in shown[io.BytesIO]  # elsewhere to the byte
