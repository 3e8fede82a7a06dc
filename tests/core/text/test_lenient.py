"""The lenient reading of bytes that are nearly JSON, and what it does not take for an answer."""

from __future__ import annotations

import json
import math
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.core.text.lenient import decode_value, read_object, writable

_TEXT = st.text(st.characters(codec=None, categories=None), max_size=12)  # surrogates, too
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=10,
)
_OBJECTS = st.dictionaries(_TEXT, _VALUES, max_size=4)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (rb'{"a": "Hooray \ud83c"}', {"a": "Hooray \ufffd"}),
        (rb'{"a": "\udf89 Hooray"}', {"a": "\ufffd Hooray"}),
        (rb'{"a": "\ud83c\udf89"}', {"a": "\U0001f389"}),
        (rb'{"a": ["x", {"b\ud83c": "\ud83c"}]}', {"a": ["x", {"b\ufffd": "\ufffd"}]}),
        (b'{"a": "\xed\xa0\xbc\xed\xbe\x89"}', {"a": "\U0001f389"}),
        (b'{"a": "tab\there\x01\nand\x00"}', {"a": "tab\there\x01\nand\x00"}),
        (b'{"a": "caf\xe9"}', {"a": "caf\ufffd"}),
        (b'{"a": "caf\xc3', None),
        (b'{"a": Infinity, "b": -Infinity, "c": 1e999}', {"a": math.inf, "b": -math.inf}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b'\r\n\r\n  {"a": "\x01"}', {"a": "\x01"}),
        (b': OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n{"a": 1}', {"a": 1}),
        (b'{"a": 1}\n\ndata: [DONE]\n\n', {"a": 1}),
        (b'{"a": 1}}', {"a": 1}),
        (b'{"a": 1}\n{"a": 1}', {"a": 1}),
        (b'{"a": 1}\n{"a": 2}', None),
        (b'{"a": 1}\n{"error": {"message": "cut', None),
        (rb'{"a": "it\'s \x41 \u12 \n"}', {"a": r"it's \x41 \u12 " + "\n"}),
        ('{"a": "é"}'.encode("utf-16"), {"a": "é"}),
        ('{"a": "é"}'.encode("utf-32-le"), {"a": "é"}),
        (b'{"a": ' * 100_000, None),
        (b"[" * 100_000, None),
        (b'{"a": "cut', None),
        (b'[{"a": 1}]', None),
        (b'data: {"a": 1}\n\n', None),
        (b"<html>{}</html>", None),
        (b"", None),
        (b"null", None),
    ],
)
def test_what_is_nearly_json_is_read(body: bytes, read: dict[str, Any] | None) -> None:
    answer = read_object(body)
    assert (answer if read is None else {key: (answer or {}).get(key) for key in read}) == read


def test_nan_is_read_as_one() -> None:
    answer = read_object(b'{"a": [NaN, 1]}')
    assert answer is not None
    assert math.isnan(answer["a"][0])


@pytest.mark.parametrize("digits", [19, 20, 25, 400, 5000])
def test_an_integer_beyond_64_bits_is_a_float(digits: int) -> None:
    answer = read_object(b'{"a": %s, "b": "\x01"}' % (b"9" * digits))
    assert answer is not None
    assert isinstance(answer["a"], int if digits == 19 else float)
    orjson.dumps(answer)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=ISO-8859-1", 'application/json;Charset="latin-1"']
)
def test_a_charset_that_is_named_is_used_where_the_bytes_are_not_utf_8(content_type: str) -> None:
    assert read_object('{"a": "café"}'.encode("latin-1"), content_type) == {"a": "café"}
    assert read_object('{"a": "café"}'.encode(), content_type) == {"a": "café"}


@pytest.mark.parametrize("name", ["x-unknown", "rot13", "hex", "idna", "utf-8", "zip", "undefined"])
def test_a_charset_that_is_none_is_left_alone(name: str) -> None:
    assert read_object(b'{"a": "caf\xe9"}', f"application/json; charset={name}") == {
        "a": "caf\ufffd"
    }


@given(_OBJECTS)
def test_whatever_is_read_can_be_written_and_stays_the_same(value: dict[str, Any]) -> None:
    """Python writes halves of surrogate pairs, NaN and integers of any size, as servers do."""
    answer = read_object(json.dumps(value).encode())
    assert answer is not None
    again = orjson.loads(orjson.dumps(answer))
    try:
        strict = orjson.loads(json.dumps(value))
    except orjson.JSONDecodeError:
        return
    assert again == strict == answer


@given(_OBJECTS, st.data())
def test_spoilt_bytes_are_read_or_refused_but_never_raise(
    value: dict[str, Any], data: st.DataObject
) -> None:
    body = bytearray(
        json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    )
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    answer = read_object(bytes(body), data.draw(st.sampled_from(["", "text/json; charset=cp1252"])))
    if answer is not None:
        orjson.dumps(answer)


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    answer = read_object(body)
    assert answer is None or orjson.dumps(answer)


@given(_TEXT)
@example("\ud83c\udf89")
def test_a_writable_text_differs_only_where_it_must(text: str) -> None:
    made = writable(text)
    made.encode()
    if text == made:
        return
    assert not any("\ud800" <= character <= "\udfff" for character in made)


def test_a_value_within_a_text_says_where_it_ends() -> None:
    assert decode_value('see {"a": [1]}, and', 4) == ({"a": [1]}, 14)
    with pytest.raises(ValueError, match="deeply"):
        decode_value("[" * 100_000)
