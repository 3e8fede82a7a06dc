"""An error inside a 200: the status that it stands for."""

from __future__ import annotations

from typing import Any

import pytest

from batcher.core.failures.reading import status_within

CHOICES = [{"message": {"content": "fine"}, "finish_reason": "stop"}]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"message": "Rate limit exceeded", "code": 429}, 429),
        ({"message": "Rate limit exceeded", "code": "429"}, 429),
        ({"message": "slow", "type": "rate_limit_error"}, 429),
        ({"message": "slow", "code": "rate_limit_exceeded"}, 429),
        ({"message": "slow", "status": "RESOURCE_EXHAUSTED"}, 429),
        ({"message": "pay", "code": "insufficient_quota"}, 402),
        ({"message": "pay", "code": 402}, 402),
        ({"message": "no", "code": "content_policy_violation"}, 400),
        ({"message": "no", "type": "invalid_request_error", "code": None}, 400),
        ({"message": "no", "code": "context_length_exceeded"}, 400),
        ({"message": "no", "code": 403}, 403),
        ({"message": "who?", "type": "authentication_error"}, 401),
        ({"message": "who?", "code": "invalid_api_key"}, 401),
        ({"message": "what?", "type": "not_found_error"}, 404),
        ({"message": "busy", "type": "overloaded_error"}, 503),
        ({"message": "Provider returned error", "code": 502}, 502),
        ({"message": "oh", "code": 200}, 500),
        ({"message": "oh", "code": True}, 500),
        ({"message": "oh"}, 500),
        ("oh", 500),
        (["oh"], 500),
    ],
)
def test_an_error_in_place_of_a_result(error: object, status: int) -> None:
    assert status_within({"error": error}) == status
    assert status_within({"error": error, "choices": [], "usage": {}}) == status
    assert status_within({"error": error, "choices": CHOICES}) is None
    assert status_within({"error": error, "data": [{"embedding": [1.0]}]}) is None


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": CHOICES},
        {"choices": []},
        {"error": None},
        {"error": {}},
        {"error": ""},
        {"error": None, "choices": CHOICES},
        {"object": "list", "data": []},
    ],
)
def test_no_error_is_none(answer: dict[str, Any]) -> None:
    assert status_within(answer) is None


def test_vllm_and_anthropic_say_it_flatly() -> None:
    assert status_within({"object": "error", "message": "m", "type": "X", "code": 400}) == 400
    assert status_within({"type": "error", "error": {"type": "overloaded_error"}}) == 503
