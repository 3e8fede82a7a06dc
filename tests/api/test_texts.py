"""The shortcuts from texts to values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import batcher
from batcher.simulator import Simulator

SIMULATED: dict[str, Any] = {"simulate": True}


@pytest.mark.parametrize(
    "texts",
    [
        ["first", "second"],
        ("first", "second"),
        (text for text in ("first", "second")),
        np.array(["first", "second"]),
        pd.Series(["first", "second"], index=[7, 8]),
        pl.Series(["first", "second"]),
        pa.array(["first", "second"]),
        pa.chunked_array([["first"], ["second"]]),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_texts_come_in_any_column(texts: Any) -> None:
    vectors = batcher.embed(texts, dimensions=4, **SIMULATED)
    assert vectors.dtype == np.float32
    assert vectors.shape == (2, 4)
    assert np.array_equal(vectors, batcher.embed(["first", "second"], dimensions=4, **SIMULATED))


def test_values_are_those_of_the_texts_in_their_order() -> None:
    texts = [f"text {number}" for number in range(300)]
    vectors = batcher.embed(texts, dimensions=4, **SIMULATED)
    backwards = batcher.embed(texts[::-1], dimensions=4, **SIMULATED)
    assert np.array_equal(vectors, backwards[::-1])

    labels = batcher.classify(texts[:20], ["one", "other"], **SIMULATED)
    assert set(labels) <= {"one", "other"}
    assert len(labels) == 20
    answers = batcher.chat(texts[:20], system="You are terse.", max_tokens=20, **SIMULATED)
    assert all(isinstance(answer, str) and answer for answer in answers)


def test_nothing_gives_nothing() -> None:
    assert batcher.embed([]).shape == (0, 0)
    assert batcher.embed([], dimensions=4).shape == (0, 4)
    assert batcher.classify([], ["one", "other"]) == []
    assert batcher.chat(iter(())) == []


def test_a_text_without_a_value_is_an_error_or_nothing() -> None:
    texts = ["late", None, float("nan"), ""]
    with pytest.raises(batcher.BatcherError, match=r'3 of 4 rows .* \(empty_input\).*"null"'):
        batcher.embed(texts, dimensions=2, **SIMULATED)  # type: ignore[arg-type]
    vectors = batcher.embed(
        texts,  # type: ignore[arg-type]
        dimensions=2,
        failed="null",
        **SIMULATED,
    )
    assert np.isnan(vectors).tolist() == [[False] * 2, [True] * 2, [True] * 2, [True] * 2]
    labels = batcher.classify(["late", None], ["one", "other"], failed="null", **SIMULATED)
    assert labels[0] is not None
    assert labels[1] is None
    assert np.isnan(batcher.embed([""], failed="null", dimensions=2, **SIMULATED)).all()


def test_what_is_no_list_of_texts_is_told_so() -> None:
    with pytest.raises(batcher.BatcherError, match="give a list of texts, not one of type str"):
        batcher.embed("one text", **SIMULATED)
    with pytest.raises(batcher.BatcherError, match="text 1 is not text, but of type int"):
        batcher.chat(["one", 2], **SIMULATED)  # type: ignore[list-item]
    with pytest.raises(batcher.BatcherError, match="labels is a list of texts"):
        batcher.classify(["one"], "one,other", **SIMULATED)
    with pytest.raises(batcher.BatcherError, match="several vectors"):
        batcher.embed(["one"], overlong="split", **SIMULATED)


def test_the_same_call_sends_nothing_again(simulator: Simulator) -> None:
    job: dict[str, Any] = {"base_url": simulator.base_url, "dimensions": 4}
    vectors = batcher.embed(["first", "second"], **job)
    sent = simulator.stats.snapshot()["requests"]
    assert np.array_equal(batcher.embed(["first", "second"], **job), vectors)
    assert simulator.stats.snapshot()["requests"] == sent
    batcher.embed(["first", "second"], fresh=True, **job)
    assert simulator.stats.snapshot()["requests"] == 2 * sent


def test_a_prompt_is_no_template(simulator: Simulator) -> None:
    batcher.chat(["what is {{ 6 * 7 }}?"], base_url=simulator.base_url)
    (letters,) = [batcher.chat(["{% broken"], base_url=simulator.base_url)]
    assert len(letters) == 1


def test_a_job_that_stops_gives_no_half_of_its_values() -> None:
    with pytest.raises(
        batcher.BatcherError, match=r"not complete \(over_budget.*same call goes on"
    ):
        batcher.chat(["late"] * 20, max_tokens=50, max_cost=1e-9, **SIMULATED)
