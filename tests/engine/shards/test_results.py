"""Results as bytes: what goes in comes out, and what cannot be kept is told from what is broken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import DamagedStore
from batcher.core.kind import Broken, Field, Shape, shape_of
from batcher.engine.shards.results import (
    encode_result,
    encode_results,
    join_results,
    read_objects,
    read_vectors,
    split_results,
    vector_length,
)

WORD = Field(name="word", type="text")
SCORE = Field(name="score", type="json")
VECTOR = Field(name="vector", type="vector")
FIELDS = {Shape.VECTOR: (VECTOR,), Shape.JSON: (WORD, SCORE), Shape.BOTH: (WORD, VECTOR, SCORE)}

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=5,
)  # fmt: skip
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def results(draw: st.DrawFn) -> tuple[Shape, list[dict[str, Any]]]:
    """A shape, and the results of some pieces; vectors alone have one length."""
    shape = draw(st.sampled_from(list(Shape)))
    length = draw(st.integers(1, 4))
    values: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 6))):
        value: dict[str, Any] = {}
        if shape is not Shape.JSON:
            own = length if shape is Shape.VECTOR else draw(st.integers(1, 4))
            value["vector"] = draw(st.lists(FLOATS, min_size=own, max_size=own))
        if shape is not Shape.VECTOR:
            value["word"] = draw(st.text(st.characters(exclude_categories=["Cs"])))
            value["score"] = draw(PLAIN)
        values.append(value)
    return shape, values


@given(made=results())
def test_results_come_apart_as_they_were_put_together(
    made: tuple[Shape, list[dict[str, Any]]],
) -> None:
    shape, values = made
    kept = [encode_result(FIELDS[shape], value) for value in values]
    pieces = [one for one in kept if isinstance(one, bytes)]
    assert len(pieces) == len(values)
    blob = encode_results(shape, pieces)
    assert split_results(shape, len(pieces), blob) == pieces
    if shape is not Shape.VECTOR:
        others = [{n: v for n, v in value.items() if n != "vector"} for value in values]
        assert read_objects(shape, blob) == others
    if shape is not Shape.JSON:
        lengths = [len(value["vector"]) for value in values]
        assert [vector_length(shape, one) for one in pieces] == lengths
        found = read_vectors(shape, len(pieces), blob)
        assert [vector.tolist() for vector in found] == [value["vector"] for value in values]
    rows = [join_results(shape, pieces[:2]), *pieces[2:]]
    assert encode_results(shape, rows) == blob


@pytest.mark.parametrize(
    "vector",
    [
        [],
        [math.nan],
        [1.0, math.inf],
        [1e39],
        [10**400],
        ["1"],
        [None],
        [True, False],
        [[1.0]],
        [[1.0], [1.0, 2.0]],
        None,
        "1.0",
        {"a": 1},
        b"123",
        7,
    ],
    ids=repr,
)
def test_a_vector_that_is_not_finite_numbers_is_broken(vector: object) -> None:
    kept = encode_result((VECTOR,), {"vector": vector})
    assert isinstance(kept, Broken)
    assert isinstance(encode_result(FIELDS[Shape.BOTH], {"vector": vector}), Broken)


def test_a_vector_is_taken_from_whatever_holds_its_numbers() -> None:
    kept = np.array([1.0, 2.0], dtype="<f4").tobytes()
    for vector in ([1, 2.0], (1.0, 2), np.array([1, 2]), np.array([1.0, 2.0]), kept):
        assert encode_result((VECTOR,), {"vector": vector}) == kept
    assert encode_result((VECTOR,), kept) == kept


@pytest.mark.parametrize(
    ("fields", "value", "said"),
    [
        ((WORD,), "text", "a result that is a str"),
        ((WORD,), {"other": 1}, "not a field"),
        ((WORD,), {"word": {1, 2}}, "not JSON"),
        ((WORD,), b"", "not one line"),
        ((WORD,), b"{\n}", "not one line"),
        ((VECTOR,), b"12345", "a vector of 5 bytes"),
        ((VECTOR,), {}, "without its vector"),
        ((VECTOR, WORD), {"word": "a"}, "without its vector"),
        ((VECTOR, WORD), b"{}", "as bytes"),
    ],
)
def test_what_cannot_be_kept_is_the_kinds_fault(
    fields: tuple[Field, ...], value: object, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        encode_result(fields, value)


@given(cut=st.integers(1, 20), shape=st.sampled_from([Shape.JSON, Shape.BOTH]))
def test_a_blob_that_is_cut_off_is_damage(cut: int, shape: Shape) -> None:
    value = {"word": "a", "score": 1} | ({"vector": [1.0, 2.0]} if shape is Shape.BOTH else {})
    kept = encode_result(FIELDS[shape], value)
    assert isinstance(kept, bytes)
    with pytest.raises(DamagedStore):
        read_objects(shape, kept[:-cut])


def test_the_fields_say_the_shape() -> None:
    for shape, fields in FIELDS.items():
        assert shape_of(fields) is shape
    assert shape_of(()) is Shape.JSON
