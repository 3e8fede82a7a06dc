"""JSON of any value: what is written is read back, digit for digit."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.text.exactjson import (
    MAX_DEPTH,
    dumps,
    holds_nan,
    is_marked,
    loads,
    marked,
    number_text,
    plain,
)

TEXTS = st.text() | st.sampled_from(["\ud800", "a\udfffb"])
BEYOND_FLOAT = st.integers(309, 99_999).map(lambda exponent: Decimal(f"1.5e{exponent}"))
LONG = st.integers(4_301, 6_000).map(lambda digits: Decimal("7" * digits))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**100), 10**100)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | BEYOND_FLOAT
    | LONG
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=15
)


@given(VALUES)
def test_every_value_comes_back(value: Any) -> None:
    assert repr(loads(dumps(value))) == repr(value)
    assert repr(loads(marked(value))) == repr(value)
    dumps(value).encode()


@given(VALUES)
def test_a_mark_tells_exact_texts_from_others(value: Any) -> None:
    assert is_marked(marked(value))
    assert is_marked(marked(value).encode())
    assert not is_marked(dumps(value))
    assert not is_marked(dumps(value).encode())


@given(st.recursive(SCALARS.filter(lambda v: not isinstance(v, Decimal)), st.lists))
def test_it_is_the_json_of_others(value: Any) -> None:
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_json_lacks_has_a_name(number: float) -> None:
    text = dumps({"x": [number]})
    assert text == f'{{"x":[{number_text(number)}]}}'
    (read,) = loads(text)["x"]
    assert repr(read) == repr(number)
    assert holds_nan([1, {"x": number}])
    assert not holds_nan([1, {"x": 1e308}])
    with pytest.raises(ValueError, match=f"{number_text(number)}, which JSON has no number for"):
        plain([number])


def test_depth_is_no_limit_to_writing() -> None:
    value: Any = 10**5000
    for _ in range(100_000):
        value = [value]
    assert dumps(value).startswith("[" * 100_000 + "1000")


def test_what_is_as_deep_as_inputs_may_be_comes_back() -> None:
    value: Any = "\ud800"
    for _ in range(MAX_DEPTH):
        value = {"a": value}
    assert loads(dumps(value)) == value


@pytest.mark.parametrize("text", ["1e100001", "-1e200000", "1e99999999999999999999"])
def test_an_exponent_has_a_bound(text: str) -> None:
    with pytest.raises(ValueError, match="a number whose exponent is out of all bounds"):
        loads(text)


def test_a_value_that_json_has_no_form_for_is_refused() -> None:
    for value, what in ((b"x", "bytes"), ({1: 2}, "a key of type int"), (object(), "object")):
        with pytest.raises(ValueError, match=what):
            plain({"x": value})
    assert plain({"x": (1, 10**5000)}) == {"x": [1, Decimal(10**5000)]}
