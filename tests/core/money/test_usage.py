"""What answers say that they are billed for, in the words of the servers that there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.money.usage import StatedUsage, output_texts, read_usage, stated_usage

OPENAI = {
    "prompt_tokens": 2006,
    "completion_tokens": 300,
    "total_tokens": 2306,
    "prompt_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 512, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 128,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 20,
        "rejected_prediction_tokens": 30,
    },
}
DIALECTS: dict[str, tuple[dict[str, Any], StatedUsage]] = {
    "OpenAI's chat; predictions that were rejected are part of the output": (
        OPENAI,
        StatedUsage(2006, 300, 1024, 512, 128),
    ),
    "OpenAI's embeddings": (
        {"prompt_tokens": 10, "total_tokens": 10},
        StatedUsage(10, 0),
    ),
    "OpenAI's Responses": (
        {
            "input_tokens": 2006,
            "input_tokens_details": {"cached_tokens": 1024, "cache_write_tokens": 512},
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 128},
            "total_tokens": 2306,
        },
        StatedUsage(2006, 300, 1024, 512, 128),
    ),
    "vLLM's: no details": (
        {
            "prompt_tokens": 7,
            "total_tokens": 19,
            "completion_tokens": 12,
            "prompt_tokens_details": None,
        },
        StatedUsage(7, 12),
    ),
    "DeepSeek's": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 9,
            "total_tokens": 109,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 4},
        },
        StatedUsage(100, 9, 64, 0, 4),
    ),
    "DeepSeek's, without the sum": (
        {
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens": 9,
        },
        StatedUsage(100, 9, 64),
    ),
    "Anthropic's own, where the cache stands beside the input": (
        {
            "input_tokens": 50,
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 2000,
            "output_tokens": 9,
        },
        StatedUsage(3050, 9, 2000, 1000),
    ),
    "a gateway's, with both": (
        {
            "prompt_tokens": 3050,
            "completion_tokens": 9,
            "total_tokens": 3059,
            "prompt_tokens_details": {"cached_tokens": 2000},
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 2000,
        },
        StatedUsage(3050, 9, 2000, 1000),
    ),
    "a gateway's that leaves the cache out of the prompt": (
        {
            "prompt_tokens": 50,
            "completion_tokens": 9,
            "cache_creation_input_tokens": 1000,
            "cache_read_input_tokens": 2000,
        },
        StatedUsage(3050, 9, 2000, 1000),
    ),
    "OpenRouter's, with what it costs": (
        {**OPENAI, "cost": 0.00014, "is_byok": False},
        StatedUsage(2006, 300, 1024, 512, 128, 140_000_000),
    ),
    "Perplexity's cost is an object": (
        {
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "total_tokens": 10,
            "cost": {"request_cost": 0.005, "total_cost": 0.006},
        },
        StatedUsage(7, 3, cost_picousd=6_000_000_000),
    ),
    "Groq's": (
        {
            "queue_time": 0.02,
            "prompt_tokens": 24,
            "prompt_time": 0.0002,
            "completion_tokens": 377,
            "completion_time": 0.6,
            "total_tokens": 401,
            "total_time": 0.6,
        },
        StatedUsage(24, 377),
    ),
    "Moonshot's": (
        {
            "prompt_tokens": 19,
            "completion_tokens": 21,
            "total_tokens": 40,
            "cached_tokens": 10,
        },
        StatedUsage(19, 21, 10),
    ),
    "xAI's: reasoning beside the output": (
        {
            "prompt_tokens": 12,
            "completion_tokens": 9,
            "total_tokens": 221,
            "completion_tokens_details": {"reasoning_tokens": 200},
        },
        StatedUsage(12, 209, 0, 0, 200),
    ),
    "Google's: reasoning in the total alone": (
        {"prompt_tokens": 12, "completion_tokens": 8, "total_tokens": 240},
        StatedUsage(12, 228, 0, 0, 220),
    ),
    "only a sum": ({"prompt_tokens": 10, "total_tokens": 12}, StatedUsage(10, 2)),
    "numbers as others write them": (
        {"prompt_tokens": "10", "completion_tokens": 2.0},
        StatedUsage(10, 2),
    ),
    "more from the cache than there is": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 99, "cache_write_tokens": 99},
        },
        StatedUsage(10, 2, 10, 0),
    ),
    "a sum below its parts": (
        {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 3},
        StatedUsage(10, 2),
    ),
    "no numbers": (
        {
            "prompt_tokens": None,
            "completion_tokens": -1,
            "total_tokens": True,
            "cost": "much",
        },
        StatedUsage(None, None),
    ),
    "unsigned -1 and fractions": (
        {"prompt_tokens": 2**64 - 1, "completion_tokens": 1.5},
        StatedUsage(None, None),
    ),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_dialect_is_understood(name: str) -> None:
    usage, stated = DIALECTS[name]
    assert read_usage(usage) == stated


@pytest.mark.parametrize("usage", [None, "none", 7, [], {}, [1]])
def test_what_is_no_usage_says_nothing(usage: object) -> None:
    assert read_usage(usage) == StatedUsage(None, None)


ODD = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
DETAILS = ODD | st.dictionaries(
    st.sampled_from(
        [
            "cached_tokens",
            "cache_write_tokens",
            "reasoning_tokens",
            "rejected_prediction_tokens",
        ]
    ),
    ODD,
)
NAMES = sorted({name for usage, _ in DIALECTS.values() for name in usage})


@given(st.dictionaries(st.sampled_from(NAMES), DETAILS))
def test_whatever_stands_there_parts_are_not_larger_than_the_whole(usage: dict[str, Any]) -> None:
    stated = read_usage(usage)
    prompt, completion = stated.prompt or 0, stated.completion or 0
    assert min(stated.cached, stated.written, stated.reasoning, prompt, completion) >= 0
    assert stated.cached + stated.written <= prompt
    assert stated.reasoning <= completion
    assert (stated.cost_picousd or 0) >= 0


COUNT = st.integers(0, 50)


@given(COUNT, COUNT, COUNT, COUNT, COUNT, st.integers(-1, 100))
def test_the_quick_way_reads_what_the_other_one_reads(
    prompt: int, completion: int, cached: int, written: int, reasoning: int, total: int
) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total if total >= 0 else prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    assert read_usage(usage) == read_usage({**usage, "one more": 0})


def test_all_that_a_model_wrote_is_found() -> None:
    message = {
        "content": [{"type": "text", "text": "one"}, "two"],
        "reasoning_content": "three",
        "refusal": None,
        "tool_calls": [{"function": {"name": "four", "arguments": "{}"}}],
    }
    answer = {"choices": [{"message": message}, {"message": {"content": "five"}}, None, 7]}
    assert output_texts(answer) == ["text", "one", "two", "three", "four", "{}", "five"]
    assert output_texts({"choices": "none"}) == output_texts({}) == []


@pytest.mark.parametrize(
    ("answer", "prompt", "completion", "reasoning"),
    [
        ({"usage": {"promptTokens": 10, "completionTokens": 5, "totalTokens": 15}}, 10, 5, 0),
        (
            {"usage": {"promptTokenCount": 10, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}},
            10,
            12,
            7,
        ),
        ({"usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5}}, 10, 5, 0),
        ({"usage": None, "prompt_eval_count": 10, "eval_count": 5}, 10, 5, 0),
        ({"x_groq": {"usage": {"prompt_tokens": 10, "completion_tokens": 5}}}, 10, 5, 0),
        ({"usage": {"prompt_tokens": 10, "completion_tokens": 5}, "eval_count": 99}, 10, 5, 0),
        ({}, None, None, 0),
    ],
)
def test_usage_is_read_where_and_however_others_state_it(
    answer: dict[str, Any], prompt: int | None, completion: int | None, reasoning: int
) -> None:
    stated = read_usage(stated_usage(answer))
    assert (stated.prompt, stated.completion, stated.reasoning) == (prompt, completion, reasoning)


@pytest.mark.parametrize("name", ["cost", "cost_usd", "total_cost", "estimated_cost"])
def test_a_stated_cost_has_many_names(name: str) -> None:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, name: "0.0012"}
    assert read_usage(usage).cost_picousd == 1_200_000_000


@pytest.mark.parametrize(
    ("usage", "stated"),
    [
        (
            {
                "inputTokens": 100,
                "outputTokens": 5,
                "totalTokens": 195,
                "cacheReadInputTokens": 60,
                "cacheWriteInputTokens": 30,
            },
            (190, 5, 60, 30, 0),
        ),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "total_tokens": 105,
                "prompt_tokens_details": {"cache_read_tokens": 60, "cache_write_tokens": 30},
            },
            (100, 5, 60, 30, 0),
        ),
    ],
)
def test_what_was_read_from_a_cache_is_found_under_other_names(
    usage: dict[str, Any], stated: tuple[int, ...]
) -> None:
    """Bedrock counts it beside ``inputTokens``; taken for output it would cost far too much."""
    assert read_usage(usage)[:5] == stated
