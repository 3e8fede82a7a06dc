"""Texts of members as views: the same document as a plain reading gives, for every body."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.settling import text_views

_LONG = "x" * text_views.LEAST_BYTES
_MEMBER = "embedding"

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | st.text(max_size=6) | st.just("AAEC/w+8"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([_MEMBER, "index", "data", '"embedding":"']), inner)
    ),
    max_leaves=12,
)


def as_texts(value: Any) -> Any:
    """The same with texts in place of views."""
    if isinstance(value, memoryview):
        return str(value, "utf-8")
    if isinstance(value, list):
        return [as_texts(one) for one in value]
    if isinstance(value, dict):
        return {name: as_texts(one) for name, one in value.items()}
    return value


@given(
    document=values,
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" , ", " :\t")]),
)
def test_any_document_is_what_a_plain_reading_gives(
    document: Any, ascii_only: bool, indent: int | None, separators: tuple[str, str]
) -> None:
    body = json.dumps(
        {"data": document, "more": _LONG},
        ensure_ascii=ascii_only,
        indent=indent,
        separators=separators,
    ).encode("utf-8", "surrogatepass")
    try:
        expected = orjson.loads(body)
    except orjson.JSONDecodeError:  # half of a surrogate pair
        with pytest.raises(orjson.JSONDecodeError):
            as_texts(text_views.loads(body, _MEMBER))
        return
    assert as_texts(text_views.loads(body, _MEMBER)) == expected


def test_long_texts_are_views_of_the_body() -> None:
    items = [{"index": index, _MEMBER: "QUJD" * 4_000} for index in range(3)]
    body = json.dumps({"data": items, "usage": {_MEMBER: 3}}).encode()
    read = text_views.loads(json.dumps({"data": items}).encode(), _MEMBER)
    assert [type(item[_MEMBER]) for item in read["data"]] == [memoryview] * 3
    assert as_texts(read) == {"data": items}
    assert as_texts(text_views.loads(body, _MEMBER)) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        '{"embedding": "AA\\/8", "more": "%s"}',
        '{"embedding": "AAAA", "embedding": "BBBB", "more": "%s"}',
        '{"embedding": "AAAA", "embedding": 0, "more": "%s"}',
        '{"embedding": 0, "more": "%s", "inner": {"embedding": "AAAA"}}',
        '{"text": "\\"embedding\\": \\"AAAA\\"", "more": "%s"}',
    ],
)
def test_what_could_be_mistaken_is_read_plainly(body: str) -> None:
    whole = (body % _LONG).encode()
    assert as_texts(text_views.loads(whole, _MEMBER)) == orjson.loads(whole)


@pytest.mark.parametrize("end", ["", '"', '"}', '"]}', "}"])
def test_a_body_that_is_cut_off_is_no_json(end: str) -> None:
    body = f'{{"data": [{{"more": "{_LONG}", "embedding": "AAAA{end}'.encode()
    with pytest.raises(orjson.JSONDecodeError):
        text_views.loads(body, _MEMBER)
