"""The kind ``embed``: texts in, vectors out, and nothing taken for a vector that is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import RowError, UsageError
from batcher.core.kind import Broken, Done
from jobs.embed import KIND, BoundEmbed


def bind(**options: Any) -> BoundEmbed:
    return KIND.bind({"text": "body", **options})


def base64_vector(*values: float) -> str:
    return pybase64.b64encode(np.array(values, dtype="<f4").tobytes()).decode()


def test_the_text_column_is_the_prompt() -> None:
    assert bind().render({"body": "hello", "other": 1}) == ("hello",)


@pytest.mark.parametrize(
    ("value", "text"), [(3, "3"), (2.5, "2.5"), (True, "true"), (None, ""), ("", "")]
)
def test_scalars_are_written_as_json_writes_them(value: object, text: str) -> None:
    assert bind().render({"body": value}) == (text,)


def test_a_nested_value_is_no_text() -> None:
    with pytest.raises(RowError, match="'body' holds a list"):
        bind().render({"body": ["secret"]})


def test_a_template_joins_columns_and_keeps_braces() -> None:
    bound = KIND.bind({"template": "{title}: {{{body}}}"})
    assert bound.columns == ("title", "body")
    assert bound.render({"title": "A", "body": "b"}) == ("A: {b}",)


def test_a_template_of_blank_columns_is_an_empty_input() -> None:
    bound = KIND.bind({"template": "Title: {title}"})
    assert bound.render({"title": "  "}) == ("",)


@pytest.mark.parametrize("template", ["{", "}", "{}", "{ }", "no column", "{{title}}", "{a{b}"])
def test_a_template_that_names_no_column_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="--template"):
        KIND.bind({"template": template})


@given(st.text(), st.text())
def test_column_values_are_never_templates_themselves(title: str, body: str) -> None:
    """What a row holds is text, whatever braces are in it."""
    rendered = KIND.bind({"template": "{a}|{b}"}).render({"a": title, "b": body})
    blank = not title.strip() and not body.strip()
    assert rendered == (("",) if blank else (f"{title}|{body}",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "embed needs --text or --template"),
        ({"text": "a", "template": "{a}"}, "takes only one of"),
        ({"text": "a", "dimensions": 0}, "at least 1"),
        ({"text": "a", "overlong": "drop"}, "--overlong is one of error, truncate, mean, split"),
        ({"text": "a", "colour": "red"}, "embed has no option --colour"),
        ({"text": 3}, "--text takes text"),
    ],
)
def test_wrong_options_say_what_would_be_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        KIND.bind(options)


def test_the_body_asks_for_base64_and_the_dimensions() -> None:
    assert bind(dimensions=256).body([("a",), ("b",)]) == {
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 256,
    }


def test_base64_and_floats_give_the_same_bytes() -> None:
    values = [0.25, -1.5, 3.0]
    answer = {
        "data": [
            {"index": 1, "embedding": values},
            {"index": 0, "embedding": base64_vector(*values)},
        ]
    }
    first, second = bind().parse(answer, 2)
    assert isinstance(first, Done)
    assert first == second
    assert np.frombuffer(first.value, "<f4").tolist() == values


@pytest.mark.parametrize(
    "embedding",
    [
        "not base64!",
        "AAA=",
        "",
        [],
        [float("nan")],
        [1e300],
        [[1.0]],
        ["a"],
        None,
        {},
        base64_vector(float("inf")),
    ],
)
def test_what_is_no_finite_vector_is_broken(embedding: object) -> None:
    (outcome,) = bind().parse({"data": [{"index": 0, "embedding": embedding}]}, 1)
    assert isinstance(outcome, Broken)
    assert outcome.code == "bad_vector"


def test_lacking_and_doubled_indexes_are_broken_and_the_others_are_not() -> None:
    vector = base64_vector(1.0)
    answer = {"data": [{"index": i, "embedding": vector} for i in (0, 2, 2, 7, -1)]}
    outcomes = bind().parse(answer, 4)
    codes = [o.code if isinstance(o, Broken) else "done" for o in outcomes]
    assert codes == ["done", "missing_vector", "bad_vector", "missing_vector"]


def test_another_length_than_asked_for_is_broken() -> None:
    (outcome,) = bind(dimensions=2).parse(
        {"data": [{"index": 0, "embedding": base64_vector(1.0)}]}, 1
    )
    assert isinstance(outcome, Broken)
    assert outcome.code == "wrong_dimension"


_KEYS = ["data", "index", "embedding", "object"]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_KEYS), inner),
    max_leaves=12,
)


@given(_ANYTHING, st.integers(1, 4))
def test_no_answer_makes_it_raise(answer: Any, count: int) -> None:
    wrapped = answer if isinstance(answer, dict) else {"data": answer}
    assert len(bind().parse(wrapped, count)) == count
