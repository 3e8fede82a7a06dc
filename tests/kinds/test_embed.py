"""The kind ``embed``: texts in, vectors out, and nothing taken for a vector that is none."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pybase64
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.kind import Broken, Done, Outcome
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


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["a", 'b "c"', None], '["a","b \\"c\\"",null]'),
        ({"ü": {"x": 1.5}}, '{"ü":{"x":1.5}}'),
        (12345678901234567890123, "12345678901234567890123"),
        (Decimal("1e400"), "1e+400"),
        (Decimal("1" * 5000), "1" * 5000),
        ([10**30], f"[{10**30}]"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        ([float("inf")], "[Infinity]"),
    ],
)
def test_whatever_is_no_text_is_sent_as_json_writes_it(value: Any, text: str) -> None:
    assert bind().render({"body": value}) == (text,)


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
    assert vector(first) == values


@pytest.mark.parametrize(
    "embedding",
    [
        "not base64!",
        "AAA=",
        "",
        [],
        [float("nan")],
        [1e300],
        [[1.0], [2.0]],
        [[]],
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


def with_indexes(indexes: Sequence[object]) -> dict[str, Any]:
    """An answer whose vectors say by their one number in which place they stand."""
    data = [
        {"index": index, "embedding": base64_vector(place)} for place, index in enumerate(indexes)
    ]
    return {"data": data}


def vector(outcome: Outcome) -> list[float]:
    """The numbers of a result."""
    assert isinstance(outcome, Done)
    assert isinstance(outcome.value, bytes)
    numbers: list[float] = np.frombuffer(outcome.value, "<f4").tolist()
    return numbers


def read(indexes: Sequence[object], count: int) -> list[float | str]:
    """The number of the vector that each text got, or the code where it got none."""
    return [
        vector(outcome)[0]
        if isinstance(outcome, Done)
        else outcome.code
        if isinstance(outcome, Broken)
        else "?"
        for outcome in bind().parse(with_indexes(indexes), count)
    ]


@pytest.mark.parametrize(
    "indexes",
    [
        [None, None, None],
        [0, None, 2],
        ["0", "1", "2"],
        [0.0, 1.0, 2.0],
        [None, 1, 2],
    ],
)
def test_an_index_that_is_null_means_the_place(indexes: list[object]) -> None:
    assert read(indexes, 3) == [0.0, 1.0, 2.0]


def test_an_index_that_is_not_there_means_the_place() -> None:
    data = [{"embedding": base64_vector(place)} for place in range(3)]
    assert all(isinstance(outcome, Done) for outcome in bind().parse({"data": data}, 3))


@given(st.permutations(range(5)))
def test_vectors_in_any_order_go_where_their_index_says(indexes: list[int]) -> None:
    assert read(indexes, 5) == [float(indexes.index(text)) for text in range(5)]


@pytest.mark.parametrize(
    "indexes",
    [
        [1, 2, 3],
        [0, 0, 0],
        [0, 1, 1],
        [0, 2, 2],
        [-1, 0, 1],
        [0, 1, 2, 3],
        [0, 1, 2, None],
        [True, 0, 2],
        [0, 1, 2.5],
        [0, 1, "two"],
        [0, 1, [2]],
        [1, None, 2],
        [0, 7],
    ],
)
def test_indexes_that_are_not_those_of_all_texts_refuse_the_whole_answer(
    indexes: list[object],
) -> None:
    outcomes = bind().parse(with_indexes(indexes), 3)
    assert [outcome.whole for outcome in outcomes if isinstance(outcome, Broken)] == [True] * 3
    assert read(indexes, 3) == ["wrong_index"] * 3


def test_of_one_text_too_the_index_must_be_its_own() -> None:
    assert read([1], 1) == ["wrong_index"]
    assert read([0], 1) == [0.0]


def test_what_is_wrong_with_the_indexes_is_said_with_what_may_help() -> None:
    def message(indexes: list[object], count: int) -> str:
        outcome = bind().parse(with_indexes(indexes), count)[0]
        assert isinstance(outcome, Broken)
        return outcome.message

    assert "numbers its 5 vectors 1, 2, 3, 4, … instead of 0 to 4" in message([1, 2, 3, 4, 5], 5)
    assert "--max-inputs" not in message([1, 2, 3, 4, 5], 5)
    assert "--max-inputs 1" in message([0, 0, 0], 3)


def test_a_lacking_vector_is_its_own_text_s_only_where_the_others_say_so() -> None:
    assert read([0, 2, 3], 4) == [0.0, "missing_vector", 1.0, 2.0]
    assert read([0, 1, 2], 4) == ["missing_vector"] * 4  # which was left out?
    assert read([0, None, 3], 4) == ["missing_vector"] * 4
    assert read([], 2) == ["missing_vector"] * 2


_INDEX = st.none() | st.integers(-1, 4) | st.sampled_from(["0", "1", "x", 1.0, 1.5, True])


@given(st.lists(_INDEX, max_size=5), st.integers(1, 4))
def test_no_text_gets_the_vector_of_another(indexes: list[object], count: int) -> None:
    """Whatever the indexes: a vector is that of its index, and of its place only without one."""
    for text, vector in enumerate(read(indexes, count)):
        if isinstance(vector, float):
            index = indexes[int(vector)]
            assert index is None or int(index) == text  # type: ignore[call-overload]
            assert index is not None or (vector == text and len(indexes) == count)


def test_one_bad_vector_leaves_the_others() -> None:
    answer = with_indexes([0, 1])
    answer["data"][0]["embedding"] = [float("nan")]
    outcomes = bind().parse(answer, 2)
    assert [type(outcome) for outcome in outcomes] == [Broken, Done]


def test_a_vector_is_read_however_it_is_wrapped() -> None:
    raw = np.array([0.25, -1.5, 3.0, 1e-9, 7.5], dtype="<f4").tobytes()
    plain = pybase64.b64encode(raw).decode()
    spellings: list[object] = [
        plain,
        plain.rstrip("="),
        pybase64.urlsafe_b64encode(raw).decode(),
        f"{plain[:10]}\r\n{plain[10:]}\n",
        np.frombuffer(raw, "<f4").tolist(),
        [np.frombuffer(raw, "<f4").tolist()],
        [[np.frombuffer(raw, "<f4").tolist()]],
    ]
    for embedding in spellings:
        assert bind().parse({"data": [{"embedding": embedding}]}, 1) == [Done(raw)]


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


@pytest.mark.parametrize(
    ("embedding", "usable"),
    [
        ([0.0] * 8, True),  # what models that look up each word say of words unknown to them
        ([0.0] * 7 + [1e-9], True),
        ([1e12, 1.0], False),
        (pybase64.b64encode(np.linspace(-1, 1, 64).astype("<f8").tobytes()).decode(), False),
        (pybase64.b64encode(np.linspace(-1, 1, 64).astype(">f4").tobytes()).decode(), False),
        (pybase64.b64encode(np.linspace(-1, 1, 64).astype("<f4").tobytes()).decode(), True),
        ([300.0, -4000.0], True),
    ],
)
def test_what_no_model_computed_is_no_vector(embedding: object, usable: bool) -> None:
    (outcome,) = bind(text="q").parse({"data": [{"index": 0, "embedding": embedding}]}, 1)
    assert isinstance(outcome, Done) is usable


@pytest.mark.parametrize(
    "data",
    [
        [[1.0, 2.0], [3.0, 4.0]],
        [[{"embedding": [1.0, 2.0]}, {"embedding": [3.0, 4.0]}]],
        [[{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}]],
    ],
)
def test_vectors_without_an_object_or_in_one_list_too_many_are_read(data: object) -> None:
    outcomes = bind(text="q").parse({"data": data}, 2)
    vectors = [vector(outcome) for outcome in outcomes]
    assert vectors == [[1.0, 2.0], [3.0, 4.0]]


@given(st.lists(st.floats(-1, 1, width=16).filter(bool), min_size=8, max_size=64))
def test_numbers_of_64_bits_are_not_taken_for_twice_as_many_of_32(numbers: list[float]) -> None:
    doubles = pybase64.b64encode(np.array(numbers, dtype="<f8").tobytes()).decode()
    ((outcome),) = bind().parse({"data": [{"index": 0, "embedding": doubles}]}, 1)
    assert isinstance(outcome, Broken)
    floats = base64_vector(*numbers)
    ((outcome),) = bind().parse({"data": [{"index": 0, "embedding": floats}]}, 1)
    assert isinstance(outcome, Done)
