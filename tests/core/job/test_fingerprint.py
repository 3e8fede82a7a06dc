"""What makes two runs the same job."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from batcher.core.job.fingerprint import CONTENT_BYTES, content, fingerprint, recipe
from batcher.core.text import exactjson

BASE: dict[str, Any] = {
    "kind": "embed",
    "kind_version": 1,
    "identity": {"text": "body", "labels": ["a", "b"]},
    "model": "m",
    "base_url": "https://api.openai.com/v1",
    "tokenizer": "o200k_base",
    "parameters": {"seed": 1},
    "selection": {"id": None, "limit": None},
    "input_sha256": "00",
}


def test_it_is_short_hex_and_always_the_same() -> None:
    first = fingerprint(**BASE)
    assert len(first) == 32
    assert int(first, 16) >= 0
    assert first == fingerprint(**BASE)


def test_the_order_of_keys_does_not_matter() -> None:
    turned = {**BASE, "identity": {"labels": ["a", "b"], "text": "body"}}
    assert fingerprint(**turned) == fingerprint(**BASE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "chat"),
        ("kind_version", 2),
        ("identity", {"text": "body", "labels": ["b", "a"]}),
        ("identity", {"text": "body"}),
        ("model", "m2"),
        ("base_url", "simulate"),
        ("tokenizer", "cl100k_base"),
        ("parameters", {"seed": "1"}),
        ("parameters", {}),
        ("selection", {"id": "id", "limit": None}),
        ("selection", {"id": None, "limit": 1}),
        ("input_sha256", "01"),
    ],
)
def test_whatever_shapes_requests_or_results_makes_another_job(name: str, value: Any) -> None:
    assert fingerprint(**{**BASE, name: value}) != fingerprint(**BASE)


def test_any_text_can_be_hashed() -> None:
    assert fingerprint(**{**BASE, "identity": {"text": "\ud800 🙂 \0"}}) != fingerprint(**BASE)


# --- recipes and contents ---------------------------------------------------------------------

RECIPE: dict[str, Any] = {
    "kind": "embed",
    "kind_version": 1,
    "identity": {"text": "body"},
    "model": "m",
    "base_url": "https://api.openai.com/v1",
    "api_version": None,
    "parameters": {"seed": 1},
    "cutting": None,
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "chat"),
        ("kind_version", 2),
        ("identity", {"text": "title"}),
        ("model", "n"),
        ("base_url", "http://localhost/v1"),
        ("api_version", "2024-10-21"),
        ("parameters", {}),
        ("cutting", ["o200k_base", 12]),
    ],
)
def test_whatever_shapes_a_request_makes_another_recipe_and_other_contents(
    name: str, value: Any
) -> None:
    one, other = recipe(**RECIPE), recipe(**{**RECIPE, name: value})
    assert one != other
    assert len(one) == 32
    contents = [content(bytes.fromhex(each), ("text",)) for each in (one, other)]
    assert contents[0] != contents[1]


def test_contents_are_equal_where_all_texts_are() -> None:
    key = bytes.fromhex(recipe(**RECIPE))
    prompts = [("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""), ("",), ()]
    contents = [content(key, prompt) for prompt in prompts]
    assert len(set(contents)) == len(prompts)
    assert [content(key, prompt) for prompt in prompts] == contents
    assert {len(each) for each in contents} == {CONTENT_BYTES}


def test_a_text_that_cannot_be_sent_has_no_content() -> None:
    with pytest.raises(UnicodeEncodeError):
        content(bytes.fromhex(recipe(**RECIPE)), ("\ud800",))


def test_a_number_of_any_size_shapes_requests() -> None:
    numbers = [1, 10**5000, 10**5000 + 1, Decimal("1e400"), "1e+400", {"batcher.decimal": "1"}]
    plain = [exactjson.plain(number) for number in numbers]
    made = {recipe(**{**RECIPE, "parameters": {"seed": number}}) for number in plain}
    assert len(made) == len(numbers)
