"""The types of the API, as a strict checker sees them; and that they cannot drift.

``mypy --strict`` of the gate reads this file: what it asserts of types is checked there, and what
it does is checked here.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type, get_overloads

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

import batcher
from batcher.api import running

ROWS = [{"body": "late"}, {"body": "twice"}]


def test_every_call_has_the_type_of_what_it_gives() -> None:
    report = batcher.run(
        "classify", ROWS, model="gpt-6-luna", text="body", labels=["a", "b"], simulate=True
    )
    assert_type(report, batcher.Report)
    assert_type(report.results(), Iterator[batcher.Result])
    assert_type(report.rows_done, int)
    assert_type(
        batcher.run("embed", pl.DataFrame(ROWS), model="m", text="body", simulate=True),
        batcher.Report,
    )
    Path("in.jsonl").write_text('{"body": "late"}\n')
    for path in ("in.jsonl", Path("in.jsonl")):
        estimate = batcher.estimate("embed", path, model="m", text="body", simulate=True)
        assert_type(estimate, batcher.Estimate)
    spec = batcher.JobSpec(
        kind="embed", input="in.jsonl", model="m", options={"text": "body"}, simulate=True
    )
    assert_type(batcher.run(spec), batcher.Report)
    assert_type(batcher.run(spec=spec, output=Path("out.jsonl")), batcher.Report)
    assert_type(batcher.report(report.job), batcher.Report)
    texts = ["late", "twice"]
    assert_type(batcher.embed(texts, simulate=True), npt.NDArray[np.float32])
    assert_type(batcher.classify(texts, ["a", "b"], simulate=True), list[str])
    assert_type(batcher.chat(texts, simulate=True), list[str])
    maybe = batcher.chat([*texts, None], failed="null", simulate=True)
    assert_type(maybe, list[str | None])
    assert maybe[2] is None


def test_a_checker_finds_what_is_wrong() -> None:
    with pytest.raises(batcher.BatcherError, match="is one of high, normal, low"):
        batcher.run(
            "embed",
            ROWS,
            model="m",
            priority="urgent",  # type: ignore[call-overload]
        )
    with pytest.raises(batcher.BatcherError, match="model is missing"):
        batcher.run("embed", ROWS)  # type: ignore[call-overload]


def test_a_call_names_every_field_of_a_job() -> None:
    fields = {field.name for field in dataclasses.fields(batcher.JobSpec)}
    for call in (running.run, running.estimate):
        named = _keywords(get_overloads(call)[-1])
        own = _keywords(call)
        assert named - own == fields - {"kind", "input"}, call
        assert own <= named | {"kind", "input"}


def _keywords(call: Any) -> set[str]:
    parameters = inspect.signature(call).parameters.values()
    return {each.name for each in parameters if each.kind is not each.VAR_KEYWORD}
