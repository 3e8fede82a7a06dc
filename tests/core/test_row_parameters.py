"""Request parameters that a row has of its own: which there may be, and how they are told apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.job.fingerprint import content
from batcher.core.row.parameters import (
    OUTPUT_CAPS,
    put_row_parameters,
    read_row_parameters,
    row_cap,
    row_parameters_bytes,
)

RECIPE = b"0" * 16
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("ab")
PARAMETERS = st.dictionaries(st.sampled_from(["a", "b", "c"]), LEAVES | st.lists(LEAVES))


@given(PARAMETERS, PARAMETERS)
def test_they_are_the_same_where_their_json_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    turned = dict(reversed(one.items()))
    assert row_parameters_bytes(turned) == row_parameters_bytes(one)
    if repr(sorted(one.items())) == repr(sorted(other.items())):
        assert row_parameters_bytes(one) == row_parameters_bytes(other)
    elif one != other:
        assert row_parameters_bytes(one) != row_parameters_bytes(other)


def test_a_number_is_no_other_for_being_equal() -> None:
    spelled = [row_parameters_bytes({"a": value}) for value in (1, 1.0, True)]
    assert len(set(spelled)) == 3


@given(st.lists(st.text("ab"), min_size=1, max_size=3), st.lists(st.binary(max_size=3), max_size=2))
def test_a_content_tells_texts_from_what_stands_beside_them(
    texts: list[str], more: list[bytes]
) -> None:
    prompt = tuple(texts)
    assert (content(RECIPE, prompt, more) == content(RECIPE, prompt)) is (not more)
    as_texts = (*prompt, *(part.decode("latin-1") for part in more))
    if more:
        assert content(RECIPE, prompt, more) != content(RECIPE, as_texts)


@pytest.mark.parametrize("name", OUTPUT_CAPS)
def test_a_cap_takes_the_place_of_any_other(name: str) -> None:
    body = {"max_tokens": 1, "max_completion_tokens": 2, "max_output_tokens": 3, "top_p": 1}
    put_row_parameters(body, {name: 9})
    assert body == {name: 9, "top_p": 1}
    assert row_cap({name: 9}) == 9


def test_without_a_cap_the_others_stand() -> None:
    body = {"max_tokens": 1, "temperature": 1}
    put_row_parameters(body, {"temperature": 0})
    assert body == {"max_tokens": 1, "temperature": 0}
    assert row_cap({"temperature": 0}) is row_cap(None) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "a NoneType"),
        ({"model": "m"}, "'model', which is the same"),
        ({"service_tier": "flex"}, "'service_tier', which is the same"),
        ({"max_tokens": "9"}, "no whole number|not a whole number"),
        ({"max_output_tokens": True}, "not a whole number"),
        ({"a": float("nan")}, "^NaN"),
        ({1: 2}, "a key of type"),
    ],
)
def test_what_cannot_be_sent_is_told(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_row_parameters(value)
