"""Results as values, tables and frames: in input order, one for each row, whatever became of it."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import batcher

LABELS = ["billing", "bug"]


def classify(rows: batcher.Input, **more: Any) -> batcher.Report:
    job: dict[str, Any] = {"model": "gpt-6-luna", "labels": LABELS, "simulate": True}
    return batcher.run("classify", rows, text="body", **{**job, **more})


def embed(rows: batcher.Input, **more: Any) -> batcher.Report:
    job: dict[str, Any] = {"model": "text-embedding-3-small", "dimensions": 3, "simulate": True}
    return batcher.run("embed", rows, text="body", **{**job, **more})


def bodies(texts: list[str | None]) -> list[dict[str, Any]]:
    return [{"body": text, "n": number} for number, text in enumerate(texts)]


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    texts=st.lists(st.sampled_from(["late", "twice", "", None]), min_size=1, max_size=8),
    form=st.sampled_from([list, pd.DataFrame, pl.DataFrame]),
    kind=st.sampled_from([classify, embed]),
)
def test_there_is_one_row_for_each_input_row(texts: Any, form: Any, kind: Any) -> None:
    rows = bodies(texts)
    report = kind(
        rows
        if form is list
        else form(rows, schema={"body": pl.String, "n": pl.Int64})
        if form is pl.DataFrame
        else form(rows)
    )
    good = [row["n"] for row in rows if row["body"]]
    field = "label" if kind is classify else "embedding"

    whole = report.to_arrow()
    assert whole["n"].to_pylist() == list(range(len(texts)))
    assert [at for at, value in enumerate(whole[field].to_pylist()) if value is not None] == good
    assert report.to_arrow(failed="omit")["n"].to_pylist() == good
    assert report.to_pandas()[field].notna().tolist() == [bool(text) for text in texts]
    assert report.to_polars()[field].is_not_null().to_list() == [bool(text) for text in texts]
    results = list(report.results())
    assert [result.row for result in results] == list(range(len(texts)))
    assert [result.failed for result in results] == [not text for text in texts]
    assert [result.row for result in report.results(failed="omit")] == good
    if len(good) < len(texts):
        with pytest.raises(batcher.BatcherError, match="failed for good"):
            report.to_polars(failed="raise")
        with pytest.raises(batcher.BatcherError, match="failed for good"):
            list(report.results(failed="raise"))


def test_a_table_keeps_its_types_and_rows_that_cannot_be_read_keep_their_place() -> None:
    table = pa.table(
        {
            "body": ["late", "late", "once"],
            "id": ["a", "a", "b"],
            "when": pa.array([1, 2, 3], pa.timestamp("ms")),
        }
    )
    report = classify(table, id="id", on_bad_row="skip")
    made = report.to_arrow()
    assert made.schema.field("when").type == pa.timestamp("ms")
    assert made["body"].to_pylist() == ["late", None, "once"]
    assert made["label"].is_valid().to_pylist() == [True, False, True]
    assert classify(table.slice(1, 1), id="id").to_arrow()["id"].to_pylist() == ["a"]


def test_rows_without_any_vector_have_none() -> None:
    report = embed(bodies(["", None]))
    assert report.to_arrow()["embedding"].to_pylist() == [None, None]
    assert [result.vector for result in report.results()] == [None, None]


def test_a_frame_comes_back_with_the_index_that_it_had() -> None:
    frame = pd.DataFrame(bodies(["late", "twice", "", "once"]))
    some = frame[frame["n"] > 0]
    report = classify(some)
    frame["label"] = report.to_pandas()["label"]
    assert frame["label"].notna().tolist() == [False, True, False, True]
    assert report.to_pandas(failed="omit")["n"].tolist() == [1, 3]


def test_a_row_that_is_split_has_a_record_for_each_chunk() -> None:
    rows = bodies(["word " * 55, "", "short"])
    report = embed(rows, overlong="split", max_input_tokens=20)
    made = report.to_arrow()
    assert made["n"].to_pylist() == [0, 0, 0, 1, 2]
    assert made["chunk"].to_pylist() == [0, 1, 2, None, 0]
    assert [result.failed for result in report.results()] == [False] * 3 + [True, False]


def test_what_each_row_cost_is_a_column_where_it_was_asked_for() -> None:
    report = classify(bodies(["late", ""]), cost_columns=True)
    costs = report.to_arrow()["cost_usd"].to_pylist()
    assert costs[0] > 0
    assert costs[1] == 0


def test_a_job_whose_plan_is_not_whole_has_no_place_for_every_row() -> None:
    rows = bodies(["late"] * 50)
    report = classify(rows, max_cost=0.0000001, max_tokens=5)
    assert report.status == "over_budget"
    assert [result.failed for result in report.results()] == [True] * 50
    with pytest.raises(batcher.BatcherError, match="is not complete: 50 of 50 rows"):
        report.to_arrow(failed="raise")
    with pytest.raises(batcher.BatcherError, match="failed is one of null, omit, raise"):
        report.to_arrow(failed="none")  # type: ignore[arg-type]


def test_a_result_shows_its_value_and_no_more_than_a_line() -> None:
    rows = bodies(["late", ""])
    label = next(classify(rows).results())
    assert repr(label) == f"<Result row 0: label={label.value['label']!r}>"
    first, failed = embed(rows).results()
    assert first.vector is not None
    numbers = ", ".join(f"{number:.4g}" for number in first.vector)
    assert repr(first) == f"<Result row 0: embedding=[{numbers}] (3 dimensions)>"
    assert repr(failed) == "<Result row 1: failed>"
    long = batcher.run(
        "chat", bodies(["late"]), model="gpt-6-luna", text="body", max_tokens=400, simulate=True
    )
    assert len(repr(next(long.results()))) < 200


def test_results_come_a_part_at_a_time_and_may_be_left_alone() -> None:
    report = classify(bodies(["late"] * 30))
    reading = report.results()
    assert next(reading).row == 0
    reading.close()  # type: ignore[attr-defined]
    assert len(list(report.results())) == 30


def test_a_report_is_a_page_whose_values_are_escaped() -> None:
    canary = "<script>alert(1)</script>"
    rows = [{"key": canary, "body": "late"}, {"key": "b", "body": ""}]
    report = classify(rows, id="key", labels=[canary, "<b>"], name="<i>nightly</i>")
    page = report._repr_html_()
    assert canary not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "1 of 2 done, 1 failed" in page
    assert "1 empty_input" in page
    for name in ("status", "rows", "requests", "cost_usd"):
        assert f">{name}</th>" in page


def test_a_page_is_there_when_the_database_has_gone(tmp_path: Any) -> None:
    settings = batcher.Settings(database_url=str(tmp_path / "gone.db"))
    report = classify(bodies(["late"]), settings=settings)
    (tmp_path / "gone.db").unlink()
    assert "complete" in report._repr_html_()
    with pytest.raises(batcher.BatcherError):
        report.to_arrow()


def test_an_earlier_job_is_reported_by_its_id() -> None:
    report = classify(bodies(["late", "twice"]))
    again = batcher.report(report.job[:8])
    assert again.to_arrow() == report.to_arrow()
    with pytest.raises(batcher.BatcherError, match="no job"):
        batcher.report("zzzzz")


async def test_all_of_it_works_while_a_loop_is_running() -> None:
    report = classify(bodies(["late"]))
    assert report.to_pandas()["label"].tolist() == report.to_arrow()["label"].to_pylist()
    async with batcher.open_runner() as runner:
        same = await runner.status(report.job)
        assert same.to_arrow() == report.to_arrow()
        results = [result async for result in runner.results(report.job, failed="raise")]
    assert len(results) == 1
    assert asyncio.get_running_loop().is_running()


def test_an_estimate_takes_what_a_run_takes() -> None:
    job: dict[str, Any] = {"model": "text-embedding-3-small", "text": "body", "simulate": True}
    estimate = batcher.estimate("embed", pl.DataFrame(bodies(["late", ""])), **job)
    assert (estimate.rows, estimate.requests) == (2, 1)
    spec = batcher.JobSpec(kind="embed", input="in.csv", model="m", options={"text": "body"})
    with pytest.raises(batcher.BatcherError, match=r"in\.csv"):
        batcher.estimate(spec)


def test_vectors_in_frames_are_the_results_themselves() -> None:
    report = embed(bodies(["late", "twice"]))
    vectors = np.stack([result.vector for result in report.results() if result.vector is not None])
    assert np.array_equal(np.stack(report.to_pandas()["embedding"].to_list()), vectors)
    assert np.array_equal(report.to_polars()["embedding"].to_numpy(), vectors)
