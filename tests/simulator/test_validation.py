from __future__ import annotations

from typing import Any

import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.simulator.client import CHATTER, EMBEDDER, chat, embed, request

INVALID_INPUT = (
    "'$.input' is invalid. Please check the API reference: "
    "https://platform.openai.com/docs/api-reference."
)
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.mark.parametrize("given", ["", ["a", ""], [[]], [["a"]], [1, "a"], 5, None, {}, [-1]])
async def test_input_that_is_none(simulator: Simulator, given: object) -> None:
    answer = await embed(simulator, given)
    assert answer.status == 400
    assert answer.error == {
        "message": INVALID_INPUT,
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


async def test_empty_array(simulator: Simulator) -> None:
    answer = await embed(simulator, [])
    assert (answer.status, answer.error["code"]) == (400, "empty_array")
    assert answer.error["param"] == "input"


async def test_too_many_inputs(simulator: Simulator) -> None:
    assert (await embed(simulator, ["a"] * 2048)).status == 200
    answer = await embed(simulator, ["a"] * 2049)
    assert answer.status == 400
    assert answer.error == {
        "message": "Invalid 'input': array too long. Expected an array with maximum length 2048, "
        "but got an array with length 2049 instead.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "array_above_max_length",
    }


async def test_an_input_over_the_context() -> None:
    async with serve(count_tokens=len) as simulator:
        assert (await embed(simulator, "a" * 8192)).status == 200
        answer = await embed(simulator, ["a", "a" * 8193])
        assert answer.status == 400
        assert answer.error["message"] == (
            "This model's maximum context length is 8192 tokens, however you requested 8193 "
            "tokens (8193 in your prompt; 0 for the completion). Please reduce your prompt; or "
            "completion length."
        )
        assert (await embed(simulator, [1] * 8193)).status == 400


async def test_too_many_tokens_in_a_request() -> None:
    async with serve(count_tokens=len) as simulator:
        assert (await embed(simulator, ["a" * 5000] * 60)).status == 200
        answer = await embed(simulator, ["a" * 5000] * 60 + ["a"])
        assert answer.status == 400
        assert answer.error == {
            "message": "Requested 300001 tokens, max 300000 tokens per request",
            "type": "max_tokens_per_request",
            "param": None,
            "code": "max_tokens_per_request",
        }


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"input": "a"}, None, None),
        ({"model": EMBEDDER}, "input", "missing_required_parameter"),
        ({"model": 5, "input": "a"}, "model", "invalid_type"),
        ({"model": EMBEDDER, "input": "a", "encoding_format": "hex"}, "encoding_format", None),
        ({"model": EMBEDDER, "input": "a", "dimensions": 0}, "dimensions", None),
        ({"model": EMBEDDER, "input": "a", "dimensions": 1537}, "dimensions", None),
        ({"model": EMBEDDER, "input": "a", "dimensions": "8"}, "dimensions", "invalid_type"),
        ({"model": "text-embedding-ada-002", "input": "a", "dimensions": 8}, "dimensions", None),
    ],
)
async def test_bad_embeddings_parameters(
    simulator: Simulator, body: object, param: str | None, code: str | None
) -> None:
    answer = await request(simulator, "/v1/embeddings", body)
    assert (answer.status, answer.error["param"]) == (400, param)
    assert answer.error["type"] == "invalid_request_error"
    assert code is None or answer.error["code"] == code


async def test_missing_model_in_the_words_of_openai(simulator: Simulator) -> None:
    answer = await request(simulator, "/v1/embeddings", {"input": "a"})
    assert answer.error["message"] == "you must provide a model parameter"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": NaN}', b"\xff"])
@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/chat/completions"])
async def test_a_body_that_is_no_json_object(simulator: Simulator, body: bytes, path: str) -> None:
    answer = await request(simulator, path, body, method="POST")
    assert answer.status == 400
    assert answer.error["message"].startswith("We could not parse the JSON body of your request.")


@pytest.mark.parametrize(
    ("parameters", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "hello"}, "messages", "invalid_type"),
        ({"messages": ["hello"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "a"}]}, "messages[0].role", "missing_required_parameter"),
        ({"messages": [{"role": "me", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [*MESSAGES, {"role": "user"}]}, "messages[1].content", None),
        ({"max_tokens": 0}, "max_tokens", "integer_below_min_value"),
        ({"max_tokens": "5"}, "max_tokens", "invalid_type"),
        (
            {"max_tokens": 5, "max_completion_tokens": 5},
            "max_tokens",
            "invalid_parameter_combination",
        ),
        ({"temperature": 3}, "temperature", "decimal_above_max_value"),
        ({"temperature": -1}, "temperature", "decimal_below_min_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"top_p": 1.1}, "top_p", "decimal_above_max_value"),
        ({"top_logprobs": 2}, "top_logprobs", None),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", None),
        ({"logprobs": True, "top_logprobs": "2"}, "top_logprobs", "invalid_type"),
        ({"stream": True}, "stream", "unsupported_value"),
        ({"response_format": "json"}, "response_format", "invalid_type"),
        ({"response_format": {}}, "response_format.type", "missing_required_parameter"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_object"}}, "messages", None),
    ],
)
async def test_bad_chat_parameters(
    simulator: Simulator, parameters: dict[str, Any], param: str, code: str | None
) -> None:
    body = {"model": CHATTER, "messages": MESSAGES, **parameters}
    answer = await request(simulator, "/v1/chat/completions", body)
    assert (answer.status, answer.error["param"], answer.error["code"]) == (400, param, code)
    assert answer.error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("wrapper", "param"),
    [
        (None, "response_format.json_schema"),
        ("schema", "response_format.json_schema"),
        ({"schema": {}}, "response_format.json_schema.name"),
        ({"name": "not a name", "schema": {}}, "response_format.json_schema.name"),
        ({"name": "x"}, "response_format.json_schema.schema"),
        ({"name": "x", "schema": []}, "response_format.json_schema.schema"),
        ({"name": "x", "schema": {"type": "string", "pattern": "a+"}}, "response_format"),
        ({"name": "x", "schema": {"properties": {"a": 5}}}, "response_format"),
        ({"name": "x", "schema": {"type": "sting"}}, "response_format"),
        ({"name": "x", "schema": {"$ref": "#/$defs/none"}}, "response_format"),
        ({"name": "x", "schema": {"$ref": "#"}}, "response_format"),
        ({"name": "x", "schema": {"enum": []}}, "response_format"),
        ({"name": "x", "schema": {"type": "array", "minItems": "2"}}, "response_format"),
        ({"name": "x", "schema": {"type": "object", "properties": []}}, "response_format"),
        ({"name": "x", "schema": {"type": "integer", "minimum": 2, "maximum": 1}}, None),
    ],
)
async def test_bad_schemas(simulator: Simulator, wrapper: object, param: str | None) -> None:
    answer = await chat(
        simulator, "a", response_format={"type": "json_schema", "json_schema": wrapper}
    )
    assert answer.status == 400
    assert answer.error["param"] == (param or "response_format")


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            {"type": "array", "items": {"type": "string"}},
            "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'.",
        ),
        (
            {"type": "object", "properties": {}},
            "In context=(), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "properties": {}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied "
            "and to be false.",
        ),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            "In context=(), 'required' is required to be supplied and to be an array including "
            "every key in properties. Missing 'a'.",
        ),
    ],
)
async def test_strict_schemas_are_held_to_openais_rules(
    simulator: Simulator, schema: object, message: str
) -> None:
    wrapper = {"name": "reply", "strict": True, "schema": schema}
    answer = await chat(
        simulator, "a", response_format={"type": "json_schema", "json_schema": wrapper}
    )
    assert answer.status == 400
    assert answer.error["message"] == f"Invalid schema for response_format 'reply': {message}"


@pytest.mark.parametrize(("length", "output"), [(993, None), (953, 41), (1, 2000)])
async def test_chat_over_the_context_window(length: int, output: int | None) -> None:
    async with serve(SimulatorConfig(context_window=1000), count_tokens=len) as simulator:
        assert (await chat(simulator, "a" * 953, max_tokens=40)).status == 200
        extra: dict[str, Any] = {} if output is None else {"max_tokens": output}
        answer = await chat(simulator, "a" * (length + (1 if output is None else 0)), **extra)
        assert (answer.status, answer.error["param"]) == (400, "messages")
        assert answer.error["code"] == "context_length_exceeded"
        prefix = "This model's maximum context length is 1000 tokens. However, "
        assert answer.error["message"].startswith(prefix)


@pytest.mark.parametrize(
    "model", ["o1", "o3-mini", "gpt-5", "gpt-5.6-terra", "gpt-6-luna", "gpt-10"]
)
async def test_reasoning_models_refuse_max_tokens(simulator: Simulator, model: str) -> None:
    answer = await chat(simulator, "a", model=model, max_tokens=5)
    assert answer.status == 400
    assert answer.error == {
        "message": "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        "type": "invalid_request_error",
        "param": "max_tokens",
        "code": "unsupported_parameter",
    }
    assert (await chat(simulator, "a", model=model, max_completion_tokens=5)).status == 200


async def test_unknown_models(simulator: Simulator) -> None:
    for answer in (
        await chat(simulator, "a", model="unknown-7b"),
        await embed(simulator, "a", model="unknown-7b"),
        await request(simulator, "/v1/models/unknown-7b"),
    ):
        assert answer.status == 404
        assert answer.error == {
            "message": "The model `unknown-7b` does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": None,
            "code": "model_not_found",
        }


async def test_what_is_refused_is_neither_served_nor_charged() -> None:
    endless = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "#"}}}
    async with serve(SimulatorConfig(rpm=100, tpm=10_000)) as simulator:
        for answer in (
            await embed(simulator, ""),
            await embed(simulator, "", model=CHATTER),
            await chat(simulator, "a", model=CHATTER, response_format=endless),
        ):
            assert answer.status == 400
            assert answer.headers["x-ratelimit-remaining-requests"] == "100"
            assert answer.headers["x-ratelimit-remaining-tokens"] == "10000"
        assert simulator.stats.inputs_served == 0
        assert simulator.stats.tokens_charged == 0
        assert simulator.stats.snapshot()["by_status"] == {"400": 3}


async def test_a_server_without_encoding_formats_refuses_them() -> None:
    async with serve(SimulatorConfig(dimensions=8, encoding_format=False)) as simulator:
        refused = await embed(simulator, "a", encoding_format="base64")
        assert (refused.status, refused.error["param"]) == (400, "encoding_format")
        assert (await embed(simulator, "a")).status == 200
