from __future__ import annotations

import math
import zlib
from typing import Any

import aiohttp
import orjson
import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.simulator.client import (
    CHATTER,
    EMBEDDER,
    FakeTime,
    chat,
    embed,
    request,
)

AZURE = f"/openai/deployments/{CHATTER}/chat/completions?api-version=2024-10-21"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


async def test_tokens_run_out_and_come_back() -> None:
    clock = FakeTime()
    config = SimulatorConfig(tpm=1000, rpm=100)
    async with serve(config, count_tokens=len, clock=clock) as simulator:
        answer = await embed(simulator, "a" * 900)
        assert answer.status == 200
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "100"
        assert answer.headers["x-ratelimit-reset-tokens"] == "54s"
        assert answer.headers["x-ratelimit-limit-requests"] == "100"
        assert answer.headers["x-ratelimit-remaining-requests"] == "99"
        assert answer.headers["x-ratelimit-reset-requests"] == "600ms"
        answer = await embed(simulator, "a" * 120)
        assert answer.status == 429
        assert answer.error == {
            "message": f"Rate limit reached for {EMBEDDER} in organization org-sim on tokens per "
            "min (TPM): Limit 1000, Used 900, Requested 120. Please try again in 1.2s. Visit "
            "https://platform.openai.com/account/rate-limits to learn more.",
            "type": "tokens",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        assert answer.headers["retry-after"] == "2"
        assert answer.headers["retry-after-ms"] == "1200"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "100"
        clock.now += 1.199
        assert (await embed(simulator, "a" * 120)).status == 429
        clock.now += 0.001
        assert (await embed(simulator, "a" * 120)).status == 200
        assert simulator.stats.rate_limited == 2
        assert simulator.stats.tokens_charged == 1020


async def test_requests_run_out() -> None:
    async with serve(SimulatorConfig(rpm=2), clock=FakeTime()) as simulator:
        await chat(simulator, "a")
        await chat(simulator, "a")
        answer = await chat(simulator, "a")
        assert answer.status == 429
        assert answer.error["type"] == "requests"
        assert "on requests per min (RPM): Limit 2, Used 2, Requested 1" in answer.error["message"]
        assert answer.headers["retry-after-ms"] == "30000"
        assert "x-ratelimit-limit-tokens" not in answer.headers


async def test_a_request_over_the_capacity() -> None:
    config = SimulatorConfig(tpm=1000)
    async with serve(config, count_tokens=len) as simulator:
        answer = await embed(simulator, "a" * 1001)
        assert answer.status == 429
        assert answer.error == {
            "message": f"Request too large for {EMBEDDER} in organization org-sim on tokens per "
            "min (TPM): Limit 1000, Requested 1001. The input or output tokens must be reduced in "
            "order to run successfully. Visit https://platform.openai.com/account/rate-limits to "
            "learn more.",
            "type": "tokens",
            "param": None,
            "code": "rate_limit_exceeded",
        }
        assert "retry-after" not in answer.headers


async def test_models_have_their_own_limits() -> None:
    async with serve(SimulatorConfig(rpm=1), clock=FakeTime()) as simulator:
        assert (await chat(simulator, "a", model="gpt-4o")).status == 200
        assert (await chat(simulator, "a", model="gpt-4o-mini")).status == 200
        assert (await chat(simulator, "a", model="gpt-4o")).status == 429


async def test_headers_and_waits_can_be_left_out() -> None:
    config = SimulatorConfig(rpm=1, rate_limit_headers=False, retry_after=False)
    async with serve(config, clock=FakeTime()) as simulator:
        first, second = await chat(simulator, "a"), await chat(simulator, "a")
        assert (first.status, second.status) == (200, 429)
        for answer in (first, second):
            names = {name.lower() for name in answer.headers}
            assert not any(n.startswith(("x-ratelimit", "retry-after")) for n in names)


async def test_answers_without_limits_have_no_limit_headers(simulator: Simulator) -> None:
    names = {name.lower() for name in (await chat(simulator, "a")).headers}
    assert not any(name.startswith("x-ratelimit") for name in names)
    assert "x-request-id" in names


@pytest.mark.parametrize(
    ("parameters", "charged"),
    [
        ({"max_tokens": 300}, 300),
        ({"max_completion_tokens": 300}, 300),
        ({"max_tokens": 10}, 100),
        ({}, 3 + 4 + 400 + 16),
    ],
)
async def test_what_admission_charges_for_chat(parameters: dict[str, Any], charged: int) -> None:
    config = SimulatorConfig(tpm=10_000)
    async with serve(config, count_tokens=len, clock=FakeTime()) as simulator:
        answer = await chat(simulator, "a" * 400, **parameters)
        assert answer.headers["x-ratelimit-remaining-tokens"] == str(10_000 - charged)
        assert simulator.stats.tokens_charged == charged


async def test_azure_charges_prompt_and_max_tokens() -> None:
    config = SimulatorConfig(tpm=10_000)
    async with serve(config, count_tokens=len, clock=FakeTime()) as simulator:
        await request(simulator, AZURE, {**HELLO, "max_tokens": 100})
        assert simulator.stats.tokens_charged == 3 + 4 + 5 + 100


@pytest.mark.parametrize("max_tokens", [1000, 2])
async def test_usage_settles_the_charge_when_the_answer_is_sent(max_tokens: int) -> None:
    config = SimulatorConfig(tpm=10_000, charge="usage")
    async with serve(config, count_tokens=len, clock=FakeTime()) as simulator:
        answer = await chat(simulator, "a" * 400, max_tokens=max_tokens)
        charged, used = max(100, max_tokens), answer.json["usage"]["total_tokens"]
        assert answer.headers["x-ratelimit-remaining-tokens"] == str(10_000 - charged)
        assert simulator.stats.tokens_charged == used
        after = (await embed(simulator, "a", model=CHATTER)).headers
        assert after["x-ratelimit-remaining-tokens"] == str(10_000 - used - 1)


async def test_settings_change_while_running() -> None:
    async with serve(SimulatorConfig(rpm=1), clock=FakeTime()) as simulator:
        await chat(simulator, "a")
        answer = await request(simulator, "/_config", {"rpm": None, "latency_ms": 0.5})
        assert answer.status == 200
        assert answer.json == (await request(simulator, "/_config")).json
        assert answer.json["latency_ms"] == 0.5
        assert (await chat(simulator, "a")).status == 200
        simulator.configure(tpm=50_000.0)
        headers = (await chat(simulator, "a")).headers
        assert headers["x-ratelimit-limit-tokens"] == "50000"
        assert "x-ratelimit-limit-requests" not in headers


@pytest.mark.parametrize("body", [{"rmp": 5}, {"rpm": "5"}, {"rpm": -1}, [], b"{"])
async def test_a_bad_setting_changes_nothing(simulator: Simulator, body: object) -> None:
    before = simulator.config
    assert (await request(simulator, "/_config", body)).status == 400
    assert simulator.config == before


async def test_an_outage_is_503_or_reset_until_it_ends(simulator: Simulator) -> None:
    await request(simulator, "/_config", {"outage": True})
    assert (await chat(simulator, "a")).status == 503
    assert (await request(simulator, "/v1/models")).status == 503
    await request(simulator, "/_config", {"outage": "reset"})
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await chat(simulator, "a")
    await request(simulator, "/_config", {"outage": False})
    assert (await chat(simulator, "a")).status == 200
    assert simulator.stats.inputs_served == 1


async def test_latency_is_slept() -> None:
    clock = FakeTime()
    config = SimulatorConfig(latency_ms=250)
    async with serve(config, clock=clock, sleep=clock.sleep) as simulator:
        answer = await chat(simulator, "a")
        assert clock.slept == [0.25]
        assert answer.headers["openai-processing-ms"] == "250"
        simulator.configure(latency_spread=0.5)
        for number in range(400):
            await embed(simulator, str(number), dimensions=1)
    spread = clock.slept[1:]
    assert sum(spread) / 400 == pytest.approx(0.25, rel=0.1)
    logs = [math.log(seconds) for seconds in spread]
    mean = sum(logs) / 400
    assert math.sqrt(sum((x - mean) ** 2 for x in logs) / 400) == pytest.approx(0.5, rel=0.15)


async def test_models(simulator: Simulator) -> None:
    listed = (await request(simulator, "/v1/models")).json
    assert listed["object"] == "list"
    assert {CHATTER, EMBEDDER} <= {model["id"] for model in listed["data"]}
    one = (await request(simulator, "/v1/models/org/any")).json
    assert (one["id"], one["object"]) == ("org/any", "model")


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/completions", "/v2/embeddings", "/embeddings"])
async def test_unknown_paths(simulator: Simulator, path: str) -> None:
    answer = await request(simulator, path, HELLO)
    assert answer.status == 404
    assert answer.error == {
        "message": f"Invalid URL (POST {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/embeddings"),
        ("PUT", "/v1/chat/completions"),
        ("POST", "/v1/models"),
        ("POST", "/_stats"),
        ("GET", "/_reset"),
        ("DELETE", "/_config"),
    ],
)
async def test_wrong_methods(simulator: Simulator, method: str, path: str) -> None:
    answer = await request(simulator, path, method=method)
    assert (answer.status, answer.error["code"]) == (405, "method_not_supported")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"Authorization": "Bearer sk-wrong-wrong-wrong"}, "invalid_api_key"),
        ({"Authorization": "Bearer x"}, "invalid_api_key"),
    ],
)
async def test_wrong_keys(headers: dict[str, str], code: str | None) -> None:
    async with serve(SimulatorConfig(api_key="sk-right")) as simulator:
        for path, body in (
            ("/v1/embeddings", {"model": EMBEDDER, "input": "a"}),
            ("/v1/models", None),
        ):
            answer = await request(simulator, path, body, headers=headers)
            assert (answer.status, answer.error["code"]) == (401, code)
            assert answer.error["type"] == "invalid_request_error"
        for right in ({"Authorization": "Bearer sk-right"}, {"api-key": "sk-right"}):
            answer = await request(simulator, "/v1/models", headers=right)
            assert answer.status == 200
        assert "sk-right" not in repr(simulator.config)
        assert simulator.config.as_dict()["api_key"] == "***"


async def test_azure_paths() -> None:
    async with serve(SimulatorConfig(api_key="k", rpm=2), clock=FakeTime()) as simulator:
        right = {"api-key": "k"}
        assert (await request(simulator, AZURE, HELLO, headers=right)).json["model"] == CHATTER
        path = f"/openai/deployments/{EMBEDDER}/embeddings?api-version=2024-10-21"
        vectors = await request(simulator, path, {"input": ["a", "b"]}, headers=right)
        assert len(vectors.json["data"]) == 2
        wrong = await request(simulator, AZURE, HELLO)
        assert (wrong.status, wrong.error["code"]) == (401, "401")
        nowhere = AZURE.replace(CHATTER, "unknown-deployment")
        missing = await request(simulator, nowhere, HELLO, headers=right)
        assert (missing.status, missing.error["code"]) == (404, "DeploymentNotFound")
        unversioned = await request(simulator, AZURE.partition("?")[0], HELLO, headers=right)
        assert (unversioned.status, unversioned.error["message"]) == (404, "Resource not found")
        await request(simulator, AZURE, HELLO, headers=right)
        limited = await request(simulator, AZURE, HELLO, headers=right)
        assert (limited.status, limited.error["code"]) == (429, "429")
        assert "call rate limit" in limited.error["message"]
        assert limited.headers["retry-after"] == "30"


async def test_large_and_compressed_bodies(simulator: Simulator) -> None:
    body = orjson.dumps({"model": EMBEDDER, "input": ["x" * 2000] * 1000})
    assert len(body) > 1024 * 1024
    assert (await request(simulator, "/v1/embeddings", body)).status == 400  # 500,000 tokens
    packed = zlib.compress(orjson.dumps({"model": EMBEDDER, "input": "a"}))
    headers = {"Content-Encoding": "deflate"}
    assert (await request(simulator, "/v1/embeddings", packed, headers=headers)).status == 200


async def test_base_url_and_port() -> None:
    async with serve() as first, serve(host="127.0.0.1", port=0) as second:
        assert first.base_url == f"{first.url}/v1"
        assert first.url.startswith("http://127.0.0.1:")
        assert first.url != second.url
