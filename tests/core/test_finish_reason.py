"""Why answers end, in every dialect: one meaning, and one word that is told."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.finish_reason import Meaning, is_whole, read_finish

# By who writes them: OpenAI, Azure, Gemini, Anthropic, Bedrock, Mistral, DeepSeek, Zhipu, Cohere,
# xAI, watsonx, Together, vLLM, SGLang, TGI, Ollama, LM Studio, LMDeploy.
DIALECTS = {
    Meaning.WHOLE: "stop STOP end_turn stop_sequence eos eos_token COMPLETE STOP_SEQUENCE eosFound"
    " stopStringFound REASON_STOP FINISH_REASON_STOP FinishReason.STOP endoftext",
    Meaning.LENGTH: "length max_tokens MAX_TOKENS model_length model_context_window_exceeded"
    " ERROR_LIMIT max_output_tokens token_limit maxPredictedTokensReached contextLengthReached"
    " REASON_MAX_LEN REASON_MAX_CONTEXT FinishReason.MAX_TOKENS FINISH_REASON_MAX_TOKENS"
    " context_length_exceeded max_new_tokens",
    Meaning.TOOLS: "tool_calls function_call tool_use TOOL_CALL toolCalls REASON_TOOL_CALLS",
    Meaning.FILTERED: "content_filter SAFETY RECITATION BLOCKLIST PROHIBITED_CONTENT SPII LANGUAGE"
    " IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT content_filtered guardrail_intervened refusal sensitive"
    " ERROR_TOXIC content-filter FinishReason.SAFETY CONTENT_BLOCKED MODEL_ARMOR",
    Meaning.FAILED: "error abort aborted cancelled canceled network_error timeout TIMEOUT failed"
    " insufficient_system_resource MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL ERROR USER_CANCEL"
    " malformed_model_output malformed_tool_use modelUnloaded userStopped load unload"
    " resource-exhausted internal_error not_finished MISSING_THOUGHT_SIGNATURE server_overloaded"
    " TOO_MANY_TOOL_CALLS context_canceled rate_limit_exceeded worker_crashed engine-shutdown",
    Meaning.OTHER: "OTHER repetition pause_turn time_limit FINISH_REASON_UNSPECIFIED unknown",
}
CASES = [(word, meaning) for meaning, words in DIALECTS.items() for word in words.split()]
TOLD = {
    Meaning.WHOLE: "stop",
    Meaning.LENGTH: "length",
    Meaning.TOOLS: "tool_calls",
    Meaning.FILTERED: "content_filter",
}


def read(reason: object, **more: Any) -> tuple[Meaning, str]:
    finish = read_finish({"index": 0, "message": {}, "finish_reason": reason, **more})
    return finish.meaning, finish.word


@pytest.mark.parametrize(("word", "meaning"), CASES)
def test_each_dialect_is_understood(word: str, meaning: Meaning) -> None:
    assert read(word) == (meaning, TOLD.get(meaning, word))


def _styled(word: str, style: str) -> str:
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", word).replace(".", "_").replace("-", "_")
    words = parts.lower().split("_")
    return {
        "snake": "_".join(words),
        "upper": "_".join(words).upper(),
        "kebab": "-".join(words),
        "spaces": " ".join(words),
        "camel": words[0] + "".join(part.capitalize() for part in words[1:]),
        "title": " ".join(words).title(),
        "dotted": f"FinishReason.{'_'.join(words).upper()}",
        "prefixed": f"FINISH_REASON_{'_'.join(words).upper()}",
    }[style]


@given(
    st.sampled_from(CASES),
    st.sampled_from(["snake", "upper", "kebab", "spaces", "camel", "title", "dotted", "prefixed"]),
)
def test_the_spelling_does_not_matter(case: tuple[str, Meaning], style: str) -> None:
    word, meaning = case
    assert read(f" {_styled(word, style)}\n")[0] is meaning


@pytest.mark.parametrize("reason", [None, "", "  ", "null", "None", False])
def test_no_reason_is_no_reason(reason: object) -> None:
    assert read(reason) == (Meaning.WHOLE, "")


@pytest.mark.parametrize(
    ("reason", "more", "read_as"),
    [
        ("stop", {"native_finish_reason": "MAX_TOKENS"}, (Meaning.LENGTH, "length")),
        ("stop", {"native_finish_reason": "completed"}, (Meaning.WHOLE, "stop")),
        ("stop", {"native_finish_reason": "some_new_word"}, (Meaning.WHOLE, "stop")),
        (None, {"native_finish_reason": "some_new_word"}, (Meaning.OTHER, "some_new_word")),
        ("error", {"native_finish_reason": "stop"}, (Meaning.FAILED, "error")),
        ("length", {"native_finish_reason": "MAX_TOKENS"}, (Meaning.LENGTH, "length")),
        (
            "stop",
            {"provider_specific_fields": {"native_finish_reason": "insufficient_system_resource"}},
            (Meaning.FAILED, "insufficient_system_resource"),
        ),
        ("stop", {"provider_specific_fields": None}, (Meaning.WHOLE, "stop")),
        ({"type": "length", "length": 16}, {}, (Meaning.LENGTH, "length")),
        ({"type": "abort", "message": "x"}, {}, (Meaning.FAILED, "abort")),
        (7, {}, (Meaning.OTHER, "7")),
    ],
)
def test_what_the_model_s_own_server_said_counts_where_it_is_worse(
    reason: object, more: dict[str, Any], read_as: tuple[Meaning, str]
) -> None:
    assert read(reason, **more) == read_as


@given(st.none() | st.integers() | st.text() | st.dictionaries(st.text(), st.text()))
def test_what_is_told_is_a_short_word(reason: object) -> None:
    _, word = read(reason)
    assert re.fullmatch(r"[\w.:-]{0,64}", word)


@pytest.mark.parametrize(("word", "meaning"), CASES)
def test_an_answer_is_whole_if_all_of_its_choices_are(word: str, meaning: Meaning) -> None:
    whole = meaning in (Meaning.WHOLE, Meaning.TOOLS)
    choice = {"finish_reason": word}
    assert is_whole({"choices": [choice]}) == whole
    assert is_whole({"choices": [{"finish_reason": "stop"}, choice]}) == whole


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"choices": None}, {"choices": [3]}])
def test_an_answer_without_choices_is_whole(answer: dict[str, Any]) -> None:
    assert is_whole(answer)
