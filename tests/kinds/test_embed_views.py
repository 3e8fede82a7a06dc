"""Vectors that come as views of the answer's bytes are what they are as texts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pybase64
from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.settling import text_views
from jobs.embed import KIND

_LONG = "x" * text_views.LEAST_BYTES


def parsed(answer: Any) -> list[Any]:
    return KIND.bind({"text": "body"}).parse(answer, 1)


def both(embedding: str) -> tuple[list[Any], list[Any]]:
    """What the kind makes of an answer that is read plainly, and of one with views."""
    answer = {"data": [{"index": 0, "embedding": embedding}], "more": _LONG}
    body = json.dumps(answer, ensure_ascii=False).encode()
    return parsed(orjson.loads(body)), parsed(text_views.loads(body, "embedding"))


@given(st.lists(st.floats(width=32), max_size=8), st.booleans(), st.booleans())
def test_a_vector_is_the_same_either_way(numbers: list[float], padded: bool, url: bool) -> None:
    raw = np.array(numbers, dtype="<f4").tobytes()
    text = (pybase64.urlsafe_b64encode if url else pybase64.b64encode)(raw).decode()
    plain, viewed = both(text if padded else text.rstrip("="))
    assert plain == viewed


@given(st.text(alphabet="AQ/+-_= \u00fc\u2028", max_size=12))
def test_what_is_no_base64_is_the_same_either_way(text: str) -> None:
    plain, viewed = both(text)
    assert plain == viewed
