"""How long an answer of a form can be: never longer than said, and said where it has no end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.answerbound import AnswerBound, Unbounded, bound_of_format, thinks


def characters(texts: Sequence[str]) -> list[int]:
    """A tokenizer for which every character is a token."""
    return [len(text) for text in texts]


def bound_of(schema: dict[str, Any]) -> AnswerBound:
    bound = bound_of_format({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert bound is not None
    return bound


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)


@st.composite
def schemas(draw: st.DrawFn, depth: int = 3) -> tuple[dict[str, Any], Any]:
    """A bounded schema, and one of the longest of its values."""
    kinds = ["enum", "const", "boolean", "null", "string", "integer", "date"]
    kind = draw(st.sampled_from(kinds + (["array", "object", "anyOf"] if depth else [])))
    if kind == "enum":
        values = draw(st.lists(TEXTS, min_size=1))
        return {"enum": values}, max(values, key=len)
    if kind == "const":
        value = draw(TEXTS)
        return {"const": value}, value
    if kind == "string":
        most = draw(st.integers(0, 20))
        return {"type": "string", "maxLength": most}, "x" * most
    if kind == "date":
        return {"type": "string", "format": "date"}, "2026-11-28"
    if kind == "integer":
        return {"type": ["integer", "null"]}, -(2**63)
    if kind == "array":
        schema, value = draw(schemas(depth - 1))
        most = draw(st.integers(0, 4))
        return {"type": "array", "items": schema, "maxItems": most}, [value] * most
    if kind == "anyOf":
        found = draw(st.lists(schemas(depth - 1), min_size=1, max_size=3))
        longest = max((value for _, value in found), key=lambda value: len(json.dumps(value)))
        return {"anyOf": [schema for schema, _ in found]}, longest
    if kind == "object":
        parts = draw(st.dictionaries(TEXTS, schemas(depth - 1), max_size=4))
        properties = {name: schema for name, (schema, _) in parts.items()}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return schema, {name: value for name, (_, value) in parts.items()}
    return {"type": kind}, {"boolean": False, "null": None}[kind]


@given(schemas())
def test_no_value_of_a_schema_is_longer_than_its_bound(drawn: tuple[dict[str, Any], Any]) -> None:
    schema, value = drawn
    jsonschema.validate(value, schema)
    assert len(json.dumps(value)) <= bound_of(schema).tokens(characters)


def test_definitions_are_followed_and_an_end_is_found() -> None:
    schema = {
        "$defs": {"short": {"type": "string", "maxLength": 5}},
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/short"}},
        "additionalProperties": False,
    }
    assert bound_of(schema).characters == 5
    tree = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "additionalProperties": False,
    }
    with pytest.raises(Unbounded, match="'next' has no end"):
        bound_of(tree)


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "string"}, "the answer has no maxLength"),
        ({"type": "string", "pattern": "a*"}, "has no maxLength"),
        ({}, "may be anything"),
        ({"type": "object"}, "may have any properties"),
        ({"type": "array", "items": {"type": "null"}}, "has no maxItems"),
        ({"type": "array", "maxItems": 2}, "an item of the answer may be anything"),
        ({"type": "array", "maxItems": 10**9, "items": {"type": "null"}}, "a million characters"),
        ({"$ref": "other.json"}, "refers to other.json"),
        ({"$ref": "#/$defs/gone"}, "refers to #/"),
        (
            {
                "type": "object", "additionalProperties": False,
                "properties": {"a": {"type": "null"}, "summary": {"type": ["null", "string"]}},
            },
            "'summary' has no maxLength",
        ),
    ],
)  # fmt: skip
def test_what_has_no_bound_is_named(schema: dict[str, Any], why: str) -> None:
    with pytest.raises(Unbounded, match=why):
        bound_of(schema)


@pytest.mark.parametrize("format", [None, "text", {"type": "json_object"}, {"json_schema": 3}])
def test_what_is_no_schema_bounds_nothing(format: object) -> None:
    assert bound_of_format(format) is None


@pytest.mark.parametrize(
    ("model", "parameters", "may"),
    [
        ("gpt-4o-mini", {}, False), ("gpt-4.1", {}, False), ("llama-3.1-8b", {}, False),
        ("gpt-6-luna", {}, True), ("gpt-5-mini", {}, True), ("o1", {}, True),
        ("openai/o4-mini", {}, True), ("deepseek-r1", {}, True), ("Qwen3-8B", {}, True),
        ("gpt-6-luna", {"reasoning_effort": "none"}, False),
        ("gpt-6-luna", {"reasoning_effort": "low"}, True),
        ("gpt-6-luna", {"reasoning": {"effort": "none"}}, False),
        ("Qwen3-8B", {"chat_template_kwargs": {"enable_thinking": False}}, False),
    ],
)  # fmt: skip
def test_models_that_may_think_are_known(model: str, parameters: Any, may: bool) -> None:
    assert thinks(model, parameters) == may
