"""What is read of a chat completion, whatever dialect it is written in."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.answers import Completion, read_completion
from batcher.core.kind import Broken, Refused

_KEYS = [
    *("choices", "message", "content", "finish_reason", "native_finish_reason", "refusal", "error"),
    *("tool_calls", "function", "name", "arguments", "type", "text", "thinking", "logprobs"),
    *("token", "logprob", "usage", "completion_tokens_details", "reasoning_tokens", "code"),
]
_WORDS = ["stop", "length", "text", "thinking", "refusal", "tool_calls", "SAFETY", "error", "{}"]
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=5)
    ),
    max_leaves=12,
)
_MESSAGES = st.dictionaries(st.sampled_from(_KEYS), _ANYTHING, max_size=5)


def answer(message: object, finish_reason: object = "stop", **choice: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": finish_reason, **choice}]}


def read(content: object, finish_reason: object = "stop", **more: Any) -> object:
    return read_completion(answer({"content": content, **more}, finish_reason))


def text_of(content: object) -> str | None:
    completion = read(content)
    return completion.text if isinstance(completion, Completion) else None


THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("yes", "yes"),
        ("", ""),
        ([{"type": "text", "text": "yes"}], "yes"),
        ([THINKING, {"type": "text", "text": "y"}, {"type": "text", "text": "es"}], "yes"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "output_text", "text": "yes"}], "yes"),
        ([{"type": "redacted_thinking", "data": "x"}, {"text": "yes"}], "yes"),
        ([{"type": "text", "text": {"value": "yes", "annotations": []}}], "yes"),
        ([{"type": "reference", "reference_ids": [1]}, "yes"], "yes"),
        ({"type": "text", "text": "yes"}, "yes"),
        (["y", "es"], "yes"),
        ([{"type": "text", "text": ""}], ""),
        ([{"type": "image_url", "image_url": {"url": "x"}}], None),
        ([], None),
        ([None, 3, {"type": "text", "text": None}], None),
        (None, None),
        (7, "7"),
        ({"answer": 1}, '{"answer": 1}'),
    ],
)
def test_text_parts_are_joined_and_thinking_is_left_out(content: object, text: str | None) -> None:
    assert text_of(content) == text


def test_a_refusal_among_the_parts_is_one() -> None:
    parts = [{"type": "text", "text": ""}, {"type": "refusal", "refusal": "I will not."}]
    assert read(parts) == Refused("refusal", "the model refused: I will not.")


@pytest.mark.parametrize("content", [None, "", " \n", [], [THINKING]])
@pytest.mark.parametrize("finish_reason", ["length", "MAX_TOKENS", "model_length"])
def test_nothing_at_the_limit_is_no_answer_and_says_what_to_do(
    content: object, finish_reason: str
) -> None:
    refused = read(content, finish_reason, reasoning_content="Let me see")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.common) == ("cut_off", True)
    assert "--max-tokens" in refused.message


@pytest.mark.parametrize(
    "more",
    [
        {"reasoning_content": "It is yes."},
        {"reasoning": "It is yes."},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
    ],
)
@pytest.mark.parametrize("content", [None, "", "\n\n"])
def test_reasoning_without_an_answer_is_told(content: object, more: dict[str, Any]) -> None:
    completion = read(content, **more)
    assert isinstance(completion, Completion)
    assert completion.reasoned
    with_answer = read("yes", **more)
    assert isinstance(with_answer, Completion)
    assert not with_answer.reasoned


def test_reasoning_that_is_only_counted_is_told() -> None:
    usage = {"completion_tokens_details": {"reasoning_tokens": 64}}
    completion = read_completion({**answer({"content": ""}), "usage": usage})
    assert isinstance(completion, Completion)
    assert completion.reasoned


def test_no_text_at_all_is_broken_and_an_empty_text_is_one() -> None:
    assert read(None) == Broken("no_content", "the answer's message holds no text")
    assert read(None, "repetition") == Broken(
        "no_content", "the answer's message holds no text (repetition)"
    )
    assert read("") == Completion(text="", finish_reason="stop")


@pytest.mark.parametrize("reason", ["error", "abort", "network_error", "MALFORMED_FUNCTION_CALL"])
def test_what_the_provider_broke_off_is_no_answer(reason: str) -> None:
    broken = read("The three causes are, first, that", reason)
    assert broken == Broken("broken_off", f"the provider ended the answer early: {reason}")


@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "RECITATION", "sensitive"])
def test_what_a_filter_stopped_is_refused_with_or_without_a_message(reason: str) -> None:
    for message in ({"content": "half"}, {"content": None}, None):
        refused = read_completion(answer(message, reason))
        assert isinstance(refused, Refused)
        assert (refused.code, refused.common) == ("content_filter", False)


def test_an_error_of_the_choice_is_what_counts() -> None:
    error = {"code": 502, "message": "Provider returned error"}
    broken = read_completion(answer({"content": "half"}, "stop", error=error))
    assert broken == Broken(
        "broken_off", "the provider ended the answer early: Provider returned error"
    )
    error = {"code": 403, "message": "flagged"}
    refused = read_completion(answer({"content": ""}, "error", error=error))
    assert refused == Refused("refused", "the provider refused to go on: flagged")
    assert isinstance(read_completion(answer({"content": "half"}, "stop", error="x")), Broken)


def test_tool_calls_are_read_in_every_form() -> None:
    called = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    for more in (
        {"tool_calls": [called]},
        {"tool_calls": [{**called, "index": 0, "extra": {"x": 2**70}}, None, {"function": 3}]},
        {"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}]},
    ):
        completion = read(None, "tool_calls", **more)
        assert isinstance(completion, Completion)
        assert completion.tool_calls == (called,)
    completion = read(None, function_call={"name": "f", "arguments": {"a": 1}})
    assert isinstance(completion, Completion)
    assert completion.tool_calls[0]["function"] == {"name": "f", "arguments": '{"a": 1}'}


@pytest.mark.parametrize("empty", [{}, {"content": None}, {"content": ""}])
def test_one_answer_that_was_cut_into_several_choices_is_read(empty: dict[str, Any]) -> None:
    """GitHub Copilot's proxies put text and tool calls into choices of their own."""
    second = answer({"content": "yes"})["choices"]
    assert read_completion({"choices": answer(empty)["choices"] + second}) == read("yes")
    first = answer({"content": "no"})["choices"]
    assert read_completion({"choices": first + second}) == read("no")
    filtered = answer(empty, "content_filter")["choices"]
    assert isinstance(read_completion({"choices": filtered + second}), Refused)
    failed = answer(empty, error={"code": 502, "message": "gone"})["choices"]
    assert isinstance(read_completion({"choices": failed + second}), Broken)


def test_logprobs_that_are_no_numbers_keep_their_token() -> None:
    tokens = [
        {"token": "a", "logprob": -0.5},
        {"token": "b", "logprob": None},
        {"token": "c", "logprob": -math.inf},
        {"token": None, "logprob": 1},
    ]
    completion = read_completion(answer({"content": "abc"}, logprobs={"content": tokens}))
    assert isinstance(completion, Completion)
    assert [token.text for token in completion.logprobs] == ["a", "b", "c"]
    assert math.isnan(completion.logprobs[1].logprob)


@given(_MESSAGES, _ANYTHING, _MESSAGES)
def test_no_answer_makes_it_raise(
    message: dict[str, Any], reason: object, more: dict[str, Any]
) -> None:
    choice = {**more, "message": message, "finish_reason": reason}
    completion = read_completion({"choices": [choice], "usage": more.get("usage")})
    if isinstance(completion, Completion):
        orjson.dumps([completion.finish_reason, completion.tool_calls])
