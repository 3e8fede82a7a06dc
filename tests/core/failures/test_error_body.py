"""The error in a body, and one in place of a result, in the dialects of vendors and gateways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.error_body import detail_of, error_within, read_detail
from batcher.core.failures.reading import read_error, status_within


@pytest.mark.parametrize(
    ("body", "code", "param", "message"),
    [
        ({"code": 30001, "message": "no balance", "data": None}, 30001, None, "no balance"),
        ({"code": "Some resource", "error": "no credits"}, "Some resource", None, "no credits"),
        ({"errors": [{"message": "AiError", "code": 5006}], "result": {}}, 5006, None, "AiError"),
        (
            {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
            1002,
            None,
            "rate limit",
        ),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, None, None, None),
        ({"error_code": 17, "error_msg": "daily limit"}, 17, None, "daily limit"),
        (
            {"Response": {"Error": {"Code": "FailedOperation", "Message": "no"}, "RequestId": "1"}},
            "FailedOperation",
            None,
            "no",
        ),
        (
            {"ResponseMetadata": {"Error": {"CodeN": 1, "Code": "AccessDenied", "Message": "no"}}},
            "AccessDenied",
            None,
            "no",
        ),
        ({"Error": {"Code": "Throttling", "Message": "no"}}, "Throttling", None, "no"),
        (
            {"detail": [{"loc": ["body", "input", 3], "msg": "str type expected"}]},
            None,
            "input",
            "body.input.3: str type expected",
        ),
        (
            {"message": {"detail": [{"loc": ["body", "encoding_format"], "msg": "Extra"}]}},
            None,
            "encoding_format",
            "body.encoding_format: Extra",
        ),
        (
            {
                "error": {
                    "message": "Provider returned error",
                    "code": 429,
                    "metadata": {"raw": '{"error": {"message": "slow upstream"}}'},
                }
            },
            429,
            None,
            "Provider returned error: slow upstream",
        ),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "gone"}}},
            None,
            None,
            "Provider returned error: gone",
        ),
    ],
)
def test_every_dialect(
    body: dict[str, Any], code: object, param: str | None, message: str | None
) -> None:
    detail = read_detail(json.dumps(body).encode())
    assert (detail["code"], detail["param"]) == (code, param)
    assert message is None or detail["message"] == message
    assert read_detail(json.dumps(json.dumps(body)).encode()) == detail  # encoded twice


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"error": "Input validation error: too long", "error_type": "validation"}, 400),
        ({"error": "Model is overloaded", "error_type": "overloaded"}, 503),
        ({"code": "rate_limit_exceeded", "message": "slow"}, 429),
        ({"code": 500, "msg": "404 NOT_FOUND", "success": False}, 500),
        ({"detail": "Not authenticated"}, 401),
        ({"detail": [{"loc": ["body"], "msg": "field required"}]}, 400),
        ({"errors": [{"message": "bad", "code": 5006}], "success": False, "result": {}}, 500),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 402),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None}, 429),
        ({"message": "Endpoint request timed out"}, 503),
        ({"message": "Forbidden"}, 403),
        ({"status": "error", "message": "model is overloaded"}, 503),
        ({"error": {"code": 400}, "choices": [{"message": {"content": ""}}]}, 400),
        ({"error": {"code": 502}, "choices": [{"message": {"content": "half an"}}]}, 502),
        (
            {
                "error": {"code": 502},
                "choices": [{"message": {"content": "half an"}, "finish_reason": "error"}],
            },
            502,
        ),
    ],
)
def test_an_error_without_the_usual_words_is_one(answer: dict[str, Any], status: int) -> None:
    assert status_within(answer) == status


WHOLE = [{"message": {"content": "a whole answer"}, "finish_reason": "stop"}]
CALLS = [{"message": {"content": None, "tool_calls": [{"id": "1"}]}, "finish_reason": "tool_calls"}]


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": WHOLE, "error": {"message": "a warning", "code": 502}},
        {"choices": WHOLE, "message": "success", "code": 200},
        {"choices": WHOLE, "error": {"code": 0, "message": ""}},
        {"choices": CALLS, "error": {"code": 200}},
        {"choices": [{"message": {"content": None}, "finish_reason": "length"}], "message": "ok"},
        {"error": {"code": None, "message": None}},
        {"data": [{"embedding": [1.0]}], "message": "ok"},
        {"base_resp": {"status_code": 0, "status_msg": ""}, "choices": WHOLE},
        {"message": {"role": "assistant", "content": "as Ollama writes it"}, "done": True},
        {"type": "message", "content": [{"type": "text", "text": "as Anthropic writes it"}]},
        {"candidates": []},
    ],
)
def test_what_is_no_error_is_none(answer: dict[str, Any]) -> None:
    assert error_within(answer) is None


NAMES = ("error", "errors", "message", "msg", "detail", "base_resp", "code", "status", "choices")
LEAVES = st.none() | st.booleans() | st.integers(-5, 600) | st.text(max_size=9)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*NAMES, "metadata", "raw", "loc", "finish_reason"]), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_nothing_raises_and_what_is_told_is_a_text(answer: dict[str, Any]) -> None:
    assert isinstance(detail_of(answer)["message"], str)
    status = status_within(answer)
    assert status is None or 300 <= status <= 599
    read_error(status or 400, {}, json.dumps(answer).encode(), wall=0.0)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"Response": {"Error": {"Code": "LimitExceeded", "Message": "Rate limit"}}}, 429),
        ({"ResponseMetadata": {"Error": {"Code": "AuthenticationError", "Message": "no"}}}, 401),
        ({"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}, 400),
        ({"error_code": 17, "error_msg": "Open api daily request limit reached"}, 429),
        ({"error": "Budget has been exceeded! Current cost: 7, Max budget: 5"}, 402),
        ({"success": False, "message": "prompt blocked by policy"}, 400),
    ],
)
def test_what_an_error_without_a_status_stands_for(answer: dict[str, Any], status: int) -> None:
    assert status_within(answer) == status
    assert status_within({**answer, "choices": [], "data": None}) == status
    whole = [{"message": {"content": "fine"}, "finish_reason": "stop"}]
    assert status_within({**answer, "choices": whole}) is None
