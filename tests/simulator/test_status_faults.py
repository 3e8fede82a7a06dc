"""The answers of the status faults: the status, the words and the headers of the real ones."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.simulator.faults.due import STATUS_FAULTS
from tests.simulator.client import CHATTER, chat, embed, request

OUT_OF_CREDIT = (
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "project_spend_limit_exceeded",
)
STATUSES: list[tuple[str, int, dict[str, Any]]] = [
    ("400", 400, {"type": "invalid_request_error", "param": "messages", "code": "invalid_value"}),
    ("400_param", 400, {"param": "temperature", "code": "unsupported_value"}),
    ("401", 401, {"type": "invalid_request_error", "code": "invalid_api_key"}),
    ("401_echo", 401, {"code": "401"}),
    ("402", 402, {"message": "Insufficient Balance"}),
    ("403", 403, {"code": "model_not_found"}),
    ("404", 404, {"code": "model_not_found"}),
    ("azure_408", 408, {"code": "Timeout"}),
    ("409", 409, {"code": "conflict"}),
    ("418", 418, {"type": "teapot"}),
    ("429", 429, {"type": "requests", "code": "rate_limit_exceeded"}),
    ("429_daily", 429, {"type": "requests", "code": "rate_limit_exceeded"}),
    ("429_quota", 429, {"type": "insufficient_quota", "code": "insufficient_quota"}),
    ("429_slow_down", 429, {"code": "slow_down"}),
    ("500", 500, {"type": "server_error"}),
    ("500_final", 500, {"type": "server_error"}),
    ("503", 503, {"type": "server_error"}),
    ("azure_content_filter", 400, {"param": "prompt", "code": "content_filter"}),
    ("400_unsupported", 400, {"code": "unsupported_parameter", "param": None}),
    ("400_hard_limit", 400, {"code": "billing_hard_limit_reached"}),
    ("400_vllm_long", 400, {"code": 400, "param": "input_tokens"}),
    ("400_vllm_room", 400, {"code": 400, "param": "max_tokens"}),
    ("429_date", 429, {"code": "rate_limit_exceeded"}),
    ("429_date_long", 429, {"code": "rate_limit_exceeded"}),
    ("429_long", 429, {"code": "rate_limit_exceeded"}),
    ("429_daily_seconds", 429, {"code": "rate_limit_exceeded"}),
    ("429_wait", 429, {"code": "rate_limit_exceeded"}),
    ("429_too_large", 429, {"type": "tokens", "code": None}),
    ("429_quota_type", 429, {"type": "insufficient_quota", "code": None}),
    *((f"429_{code}", 429, {"type": code, "code": code}) for code in OUT_OF_CREDIT),
    ("501_llama", 501, {"code": 501, "type": "not_supported_error"}),
    ("503_wait", 503, {"type": "server_error"}),
    ("529", 529, {"type": "overloaded_error"}),
    ("azure_429", 429, {"code": "RateLimitReached"}),
    ("azure_429_status", 429, {"code": "429"}),
    ("azure_429_day", 429, {"code": "429"}),
    ("too_large", 500, {"code": 500, "type": "server_error"}),
]
PAGES = {"302", "404_html", "408", "413", "429_html", "501", "502_html", "504_html"}
FLAT: dict[str, dict[str, Any]] = {
    "400_vllm": {"object": "error", "code": 400, "param": None},
    "404_vllm": {"object": "error", "code": 404, "type": "NotFoundError"},
    "422_vllm": {"object": "error", "code": 422},
    "500_vllm": {"object": "error", "code": 500},
    "azure_401_token": {"statusCode": 401},
    "azure_429_no_code": {"statusCode": 429},
}


@pytest.mark.parametrize(("name", "status", "expected"), STATUSES)
async def test_status_faults(
    simulator: Simulator, name: str, status: int, expected: dict[str, Any]
) -> None:
    answer = await chat(simulator, f"row [[fault={name}]]")
    assert answer.status == status
    assert expected.items() <= answer.error.items()
    assert simulator.stats.faults == {name: 1}
    assert simulator.stats.inputs_served == 0


@pytest.mark.parametrize("name", sorted(PAGES))
async def test_pages_of_proxies(simulator: Simulator, name: str) -> None:
    answer = await chat(simulator, f"[[fault={name}]]")
    assert str(answer.status) == name.removesuffix("_html")
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.raw.startswith(b"<html>")
    assert ("location" in answer.headers) is (name == "302")


async def test_a_final_error_says_that_trying_again_is_no_use(simulator: Simulator) -> None:
    answer = await chat(simulator, "[[fault=500_final]]")
    assert answer.status == 500
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("name", sorted(FLAT))
async def test_errors_without_an_error_object(simulator: Simulator, name: str) -> None:
    answer = await embed(simulator, ["a", f"b [[fault={name}]]"])
    said = answer.json
    assert answer.status == said.get("code", said.get("statusCode"))
    assert FLAT[name].items() <= said.items()
    assert "error" not in said
    assert said["message"]


async def test_a_429_may_say_nothing_at_all(simulator: Simulator) -> None:
    answer = await chat(simulator, "[[fault=429_bare]]")
    assert (answer.status, answer.raw) == (429, b"")
    assert "retry-after" not in answer.headers


def test_every_status_fault_is_tested() -> None:
    assert {name for name, _, _ in STATUSES} | PAGES | set(FLAT) | {"429_bare"} == set(
        STATUS_FAULTS
    )


@pytest.mark.parametrize(
    ("name", "seconds"), [("429_date", 5), ("429_date_long", 3600), ("503_wait", 20)]
)
async def test_a_wait_may_be_a_date(name: str, seconds: int) -> None:
    wall = 1_700_000_000.4
    async with serve(wall=lambda: wall) as simulator:
        said = (await chat(simulator, f"[[fault={name}]]")).headers
    if name == "503_wait":
        assert said["retry-after"] == str(seconds)
    else:
        date = parsedate_to_datetime(said["retry-after"])
        assert date.timestamp() == int(wall + seconds)
        assert said["retry-after"].endswith(" GMT")
        assert "retry-after-ms" not in said


@pytest.mark.parametrize("said", [True, False])
async def test_should_retry_stands_on_every_error(said: bool) -> None:
    async with serve(SimulatorConfig(should_retry=said)) as simulator:
        for name in ("429", "404_html", "503"):
            answer = await chat(simulator, f"[[fault={name}]]")
            assert answer.headers["x-should-retry"] == str(said).lower()
        assert "x-should-retry" not in (await chat(simulator, "a")).headers


async def test_azure_says_of_a_request_that_is_too_large_to_wait_for_a_day() -> None:
    async with serve(SimulatorConfig(tpm=10), count_tokens=len) as simulator:
        path = "/openai/deployments/d/embeddings?api-version=2024-10-21"
        answer = await request(simulator, path, {"input": "more than ten"})
    assert (answer.status, answer.error["code"]) == (429, "429")
    assert answer.headers["retry-after"] == "86400"
    assert "Please retry after 86400 seconds." in answer.error["message"]


async def test_waits_that_rate_limit_faults_ask_for(simulator: Simulator) -> None:
    short = await chat(simulator, "[[fault=429]]")
    assert (short.headers["retry-after"], short.headers["retry-after-ms"]) == ("1", "200")
    daily = await chat(simulator, "[[fault=429_daily]]")
    assert daily.headers["retry-after"] == "3600"
    assert "requests per day (RPD)" in daily.error["message"]
    assert "retry-after" not in (await chat(simulator, "[[fault=429_quota]]")).headers


async def test_an_invalid_input_is_echoed_and_named(simulator: Simulator) -> None:
    answer = await embed(simulator, ["fine", "secret [[fault=400]]"])
    assert answer.error["param"] == "input"
    assert "secret" in answer.error["message"]


async def test_keys_are_masked_by_openai_and_echoed_by_some_gateways(simulator: Simulator) -> None:
    headers = {"Authorization": "Bearer sk-abcdefghijklmnop"}
    body = {"model": CHATTER, "messages": [{"role": "user", "content": "[[fault=401]]"}]}
    masked = await request(simulator, "/v1/chat/completions", body, headers=headers)
    assert "sk-a***********mnop" in masked.error["message"]
    body = {"model": CHATTER, "messages": [{"role": "user", "content": "[[fault=401_echo]]"}]}
    echoed = await request(simulator, "/v1/chat/completions", body, headers=headers)
    assert "sk-abcdefghijklmnop" in echoed.error["message"]


async def test_llama_cpp_says_that_the_input_is_too_large(simulator: Simulator) -> None:
    answer = await embed(simulator, "[[fault=too_large]]")
    assert answer.error["message"] == (
        "input is too large to process. increase the physical batch size"
    )
