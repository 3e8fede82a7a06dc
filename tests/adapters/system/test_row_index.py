"""Rows of a former job on disk: found by id, results by place, memory that does not grow."""

from __future__ import annotations

import resource
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from batcher.adapters.system.row_index import SqliteRowIndex
from batcher.core.errors import StoreError
from batcher.ports import FormerRow

CONTENT = bytes(range(16))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[SqliteRowIndex]:
    made = SqliteRowIndex(tmp_path / "spool")
    yield made
    made.close()


def test_a_row_is_found_by_its_id_as_it_was_put_in(index: SqliteRowIndex) -> None:
    rows = {
        "a": FormerRow(content=CONTENT, place=(0, 0), tokens=(7,)),
        "b": FormerRow(content=CONTENT, place=(3, 2**20), tokens=(9, 4), spans=((0, 9), (9, 12))),
        "": FormerRow(content=CONTENT, place=None),
        "\ud800": FormerRow(content=None, place=None),
    }
    index.add(rows.items())
    assert index.find(["b", "none", *rows]) == [rows["b"], None, *rows.values()]


def test_of_two_rows_of_one_id_the_later_one_stays(index: SqliteRowIndex) -> None:
    later = FormerRow(content=CONTENT, place=(1, 1), tokens=(1,))
    index.add([("a", FormerRow(content=None, place=None)), ("a", later)])
    assert index.find(["a"]) == [later]


def test_results_are_kept_by_shard_and_row(index: SqliteRowIndex) -> None:
    index.keep(0, {0: b"zero", 5: b"five"})
    index.keep(7, {0: b"other"})
    assert index.kept(0, [5, 0]) == [b"five", b"zero"]
    assert index.kept(7, [0]) == [b"other"]


def test_nothing_is_left_on_disk_however_it_ends(tmp_path: Path) -> None:
    index = SqliteRowIndex(tmp_path / "spool")
    index.add([("a", FormerRow(content=CONTENT, place=None))])
    assert list((tmp_path / "spool").iterdir()) == []
    index.close()
    index.close()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be compared on disk"):
        SqliteRowIndex(tmp_path / "file" / "spool")


def test_memory_does_not_grow_with_rows(index: SqliteRowIndex) -> None:
    """Neither what Python holds nor what SQLite does, of rows many times as large as its cache."""
    before = peak_bytes()
    tracemalloc.start()
    try:
        for shard in range(150):
            row = FormerRow(content=CONTENT, place=(shard, 1), tokens=(5,))
            index.add((f"row {shard} {number}", row) for number in range(2_000))
            index.keep(shard, {number: bytes(1_000) for number in range(500)})
        assert index.find(["row 149 1999"]) != [None]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20
    assert peak_bytes() - before < 48 << 20


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
