"""What an answer says that it cost, and what it cannot mean."""

from __future__ import annotations

from typing import Any, cast

import pytest

from batcher.core.allowance import OutputAllowance
from batcher.core.cost import Price
from batcher.core.finish import read_finish
from batcher.engine.reading import read_usage, strike
from batcher.engine.requests import Requests
from batcher.engine.shard import Call

PRICE = Price(prompt=3, cached_prompt=1, completion=5)


class FakeCall:
    tokens = 7


class FakeRequests:
    def __init__(self) -> None:
        self.allowance = OutputAllowance()
        self.cost = PRICE.cost


@pytest.mark.parametrize(
    ("usage", "prompt", "completion", "cost"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}, 10, 2, 40),
        ({"prompt_tokens": 10, "total_tokens": 10}, 10, 0, 30),
        ({"prompt_tokens": 10, "total_tokens": 12}, 10, 2, 40),
        (
            {"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}},
            10,
            0,
            22,
        ),
        ({"prompt_tokens": 10, "prompt_tokens_details": None}, 10, 0, 30),
        ({}, 7, 0, 21),
        (None, 7, 0, 21),
        ("none", 7, 0, 21),
        ({"prompt_tokens": -1, "completion_tokens": True}, 7, 0, 21),
        ({"prompt_tokens": 2**64 - 1, "completion_tokens": 2**63}, 7, 0, 21),
        ({"prompt_tokens": 1.5, "completion_tokens": "2"}, 7, 0, 21),
    ],
)
def test_usage(usage: Any, prompt: int, completion: int, cost: int) -> None:
    read = read_usage({"usage": usage}, cast("Call", FakeCall()), cast("Requests", FakeRequests()))
    assert (read.prompt_tokens, read.completion_tokens) == (prompt, completion)
    assert read.cost_picousd == cost
    assert read.requests == 1


KEY = "sk-proj-abcdefghijklmnop"


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": KEY},
        {"finish_reason": {"type": KEY}},
        {"finish_reason": {"reason": f"because {KEY}"}},
        {"finish_reason": None, "native_finish_reason": KEY},
        {"provider_specific_fields": {"native_finish_reason": KEY}},
    ],
)
def test_no_key_is_told_as_the_reason_for_an_end(choice: dict[str, Any]) -> None:
    struck = strike({"choices": [choice]}, (KEY,))["choices"][0]
    assert read_finish(struck).word == "other"


@pytest.mark.parametrize("reason", ["stop", "Max Tokens", {"type": "length"}, None, 7])
def test_other_reasons_keep_their_meaning(reason: object) -> None:
    answer = {"choices": [{"finish_reason": reason}]}
    struck = strike(answer, (KEY,))
    assert read_finish(struck["choices"][0]) == read_finish(answer["choices"][0])
