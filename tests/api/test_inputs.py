"""What may be an input: paths, rows and tables of any library, known by their content."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import batcher
from batcher.adapters.sources.tables import open_rows, open_table

ROWS: list[dict[str, Any]] = [{"body": "late", "n": 1}, {"body": "twice", "n": 2}]


def run(given: batcher.Input, **more: Any) -> batcher.Report:
    job: dict[str, Any] = {"model": "text-embedding-3-small", "dimensions": 2, "simulate": True}
    return batcher.run("embed", given, text="body", **{**job, **more})


class Stream:
    """A table of a library that nobody has heard of."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        capsule: object = self._table.__arrow_c_stream__(requested_schema)
        return capsule


def in_every_form(directory: Path) -> Iterator[tuple[str, batcher.Input]]:
    (directory / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    table = pa.Table.from_pylist(ROWS)
    yield "str", "in.jsonl"
    yield "Path", Path("in.jsonl")
    yield "list", ROWS
    yield "generator", (row for row in ROWS)
    yield "pandas", pd.DataFrame(ROWS)
    yield "polars", pl.DataFrame(ROWS)
    yield "Table", table
    yield "RecordBatch", table.to_batches()[0]
    yield "RecordBatchReader", table.to_reader()
    yield "stream", Stream(table)


def test_every_form_of_an_input_has_the_same_records(workplace: Path) -> None:
    for form, value in in_every_form(workplace):
        report = run(value)
        assert report.status == "complete", form
        assert [row["body"] for row in report.to_arrow().to_pylist()] == ["late", "twice"], form
        assert report.to_arrow()["n"].to_pylist() == [1, 2], form


@pytest.mark.parametrize("form", ["list", "generator", "pandas", "polars", "Table", "stream"])
def test_an_input_that_is_no_file_is_known_by_its_content(workplace: Path, form: str) -> None:
    first, again = (dict(in_every_form(workplace))[form] for _ in range(2))
    report = run(first)
    same = run(again)
    assert (same.job, same.sent_nothing) == (report.job, True)
    other = run([*ROWS, {"body": "third", "n": 3}])
    assert other.job != report.job


def test_the_kept_input_is_no_row_s_content_but_what_it_was(workplace: Path) -> None:
    assert run(ROWS).spec.input == "<list>"
    assert run(pl.DataFrame(ROWS)).to_json()["input"] == "<polars.DataFrame>"
    assert not (workplace / ".batcher" / "spool").exists()


VALUES = {
    pa.string(): st.none() | st.text(max_size=8),
    pa.int64(): st.none() | st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.none() | st.floats(),
    pa.bool_(): st.none() | st.booleans(),
    pa.binary(): st.none() | st.binary(max_size=8),
    pa.timestamp("ns", "UTC"): st.none() | st.integers(-(2**62), 2**62),
    pa.list_(pa.string()): st.none() | st.lists(st.none() | st.text(max_size=3), max_size=3),
    pa.string_view(): st.none() | st.text(max_size=20),
}


@st.composite
def tables(draw: st.DrawFn) -> Any:
    rows = draw(st.integers(1, 40))
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=3))
    columns = [
        pa.array(draw(st.lists(VALUES[kind], min_size=rows, max_size=rows)), kind) for kind in kinds
    ]
    return pa.table(columns, names=[f"c{at}" for at in range(len(columns))])


def facts_of(table: Any, directory: Path) -> Any:
    with open_table(table, name="<table>", spool_dir=directory) as source:
        return source.check(id_column=None, columns=[], skip_bad=False)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_how_a_table_is_cut_is_no_content(tmp_path: Path, table: Any, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(table)) for cut in cuts), len(table)]
    parts = [table.slice(a, b - a) for a, b in pairwise(places)]
    # Two parts without a common buffer, as other libraries hold them.
    copied = pa.concat_tables([pa.table(part.to_pydict(), table.schema) for part in parts])
    assert facts_of(copied, tmp_path).sha256 == facts_of(table, tmp_path).sha256


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), data=st.data())
def test_another_value_is_another_content(tmp_path: Path, table: Any, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, table.num_columns - 1))
    column = table.column(at)
    row = data.draw(st.integers(0, len(table) - 1))
    values = (
        column.to_pylist()
        if column.type != pa.timestamp("ns", "UTC")
        else column.cast(pa.int64()).to_pylist()
    )
    other = data.draw(VALUES[column.type].filter(lambda value: repr(value) != repr(values[row])))
    values[row] = other
    changed = table.set_column(at, table.field(at), pa.array(values, column.type))
    assert facts_of(changed, tmp_path).sha256 != facts_of(table, tmp_path).sha256


def test_how_wide_a_text_is_counted_is_no_content(tmp_path: Path) -> None:
    texts = pa.array(["late", None])
    kinds = (pa.string(), pa.large_string(), pa.string_view())
    found = {facts_of(pa.table({"body": texts.cast(kind)}), tmp_path).sha256 for kind in kinds}
    assert len(found) == 1


def test_a_slice_of_a_view_does_not_bring_the_whole_column(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {"body": [f"a text that is longer than twelve bytes {n}" for n in range(20_000)]}
    )
    facts = facts_of(frame, tmp_path)
    assert facts.size_bytes == 0  # pyarrow reads it by itself
    with open_table(frame, name="<table>", spool_dir=tmp_path, max_bytes=2_000_000) as source:
        assert sum(len(batch) for batch in source.rows()) == 20_000


def test_rows_hold_what_programs_hold(workplace: Path) -> None:
    row = {
        "body": "late",
        "day": dt.date(2026, 1, 2),
        "at": pd.Timestamp("2026-01-02T03:04:05"),
        "nothing": [None, float("nan"), pd.NA, pd.NaT],
        "number": np.float32(1.5),
        "array": np.arange(2),
        "money": Decimal("1.10"),
        "huge": 10**30,
        "nested": {"a": (1, 2)},
    }
    with open_rows([row], name="<list>", spool_dir=workplace) as source:
        facts = source.check(id_column=None, columns=["body"], skip_bad=False)
        (batch,) = source.rows()
    assert facts.columns == tuple(row)
    record = getattr(batch[0], "record")  # noqa: B009 - no bad row
    assert dict(record) == {
        "body": "late",
        "day": "2026-01-02",
        "at": "2026-01-02T03:04:05",
        "nothing": [None, None, None, None],
        "number": 1.5,
        "array": [0, 1],
        "money": 1.1,
        "huge": 10**30,
        "nested": {"a": [1, 2]},
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([{"body": "a"}, "canary"], r"<list>: row 1 is of type str: rows are dicts"),
        ([{"body": object()}], r"<list>: row 0 holds a value of type object, .*write it as text"),
        ([{"body": "a"}, {"other": "canary"}], r"row 1: .*'body'"),
        ([], r"<list>: there are no rows"),
        ({"body": ["canary"]}, r"<dict> is not rows: give a list of dicts"),
        (pl.LazyFrame({"body": ["canary"]}), r"<polars\.LazyFrame> is not computed yet"),
        (pd.DataFrame({"body": ["a", 3]}), r"column 'body' holds values of several types"),
        (pl.DataFrame({"text": ["a"]}), r"<polars\.DataFrame>: there is no column 'body'"),
        (3, r"<int> is not an input: give a path, a list of dicts, or a table"),
        (b"canary", r"<bytes> is not an input"),
    ],
)
def test_what_is_no_input_is_told_so(value: Any, said: str) -> None:
    with pytest.raises(batcher.BatcherError, match=said) as caught:
        run(value)
    assert "canary" not in str(caught.value)


def test_a_table_that_is_too_long_is_not_copied(workplace: Path) -> None:
    with pytest.raises(batcher.BatcherError, match="longer than max_input_bytes allows"):
        run(({"body": "x" * 1000} for _ in range(10_000)), max_input_bytes=2_000_000)
    assert not (workplace / ".batcher" / "spool").exists()


def test_what_is_wrong_with_the_job_is_said_before_any_row_is_read() -> None:
    read: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        read.append(1)
        yield {"body": "late"}

    with pytest.raises(batcher.BatcherError, match=r"^rpm must be more than 0"):
        run(rows(), rpm=0)
    assert read == []


def test_the_labels_of_a_frame_s_index_are_columns_where_they_have_names() -> None:
    frame = pd.DataFrame(ROWS)
    named = run(frame.set_index("n"), id="n")
    assert named.to_arrow().column_names == ["n", "body", "embedding"]
    assert named.to_pandas().index.name == "n"
    assert list(named.to_pandas().columns) == ["body", "embedding"]
    unnamed = run(frame.set_axis(["x", "y"], axis=0))
    assert unnamed.to_arrow().column_names == ["body", "n", "embedding"]
    assert list(unnamed.to_pandas().index) == ["x", "y"]
