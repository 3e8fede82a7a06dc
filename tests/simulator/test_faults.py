from __future__ import annotations

import asyncio
import base64
import math
import struct
from typing import Any

import aiohttp
import orjson
import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.simulator.faults.due import FAULTS, Faults
from batcher.simulator.replies import Refused
from tests.simulator.client import chat, content, embed
from tests.waiting import PATIENCE_SECONDS

CONFIG = SimulatorConfig()
OBJECT_SCHEMA = {
    "type": "object",
    "properties": {"label": {"enum": ["a", "b"]}},
    "required": ["label"],
    "additionalProperties": False,
}
FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "reply", "strict": True, "schema": OBJECT_SCHEMA},
}


async def test_a_marker_with_a_number_acts_so_often_for_each_text(simulator: Simulator) -> None:
    for text in ("one [[fault=500*2]]", "two [[fault=500*2]]"):
        statuses = [(await chat(simulator, text)).status for _ in range(4)]
        assert statuses == [500, 500, 200, 200]


async def test_markers_act_in_their_order(simulator: Simulator) -> None:
    text = "[[fault=500*2]] [[fault=429*1]] row [[fault=418]]"
    statuses = [(await embed(simulator, text)).status for _ in range(5)]
    assert statuses == [500, 500, 429, 418, 418]


async def test_one_input_fails_the_request(simulator: Simulator) -> None:
    assert (await embed(simulator, ["a", "[[fault=400*1]]", "b"])).status == 400
    answer = await embed(simulator, ["a", "[[fault=400*1]]", "b"])
    assert len(answer.json["data"]) == 3


async def test_a_message_is_recognised_in_a_longer_conversation(simulator: Simulator) -> None:
    assert (await chat(simulator, "[[fault=500*1]]")).status == 500
    assert (await chat(simulator, "[[fault=500*1]]", "again")).status == 200


async def test_an_unknown_fault_is_refused(simulator: Simulator) -> None:
    answer = await chat(simulator, "[[fault=506]]")
    assert (answer.status, answer.error["code"]) == (400, "unknown_fault")
    assert all(name in answer.error["message"] for name in FAULTS)


async def test_a_client_error_gives_the_charge_back_and_a_server_error_does_not() -> None:
    async with serve(SimulatorConfig(rpm=100, tpm=10_000), count_tokens=len) as simulator:
        answer = await embed(simulator, "[[fault=400]]")
        assert answer.headers["x-ratelimit-remaining-requests"] == "100"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "10000"
        answer = await embed(simulator, "[[fault=500]]")
        assert answer.headers["x-ratelimit-remaining-requests"] == "99"
        assert simulator.stats.tokens_charged == len("[[fault=500]]")


@pytest.mark.parametrize("name", ["garbage", "truncated"])
async def test_bodies_that_are_no_json(simulator: Simulator, name: str) -> None:
    answer = await embed(simulator, f"[[fault={name}]]")
    assert answer.status == 200
    with pytest.raises(orjson.JSONDecodeError):
        answer.json  # noqa: B018
    assert simulator.stats.inputs_served == 1


async def test_disconnect_breaks_off_in_the_body(simulator: Simulator) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await embed(simulator, "[[fault=disconnect]]")
    assert simulator.stats.inputs_served == 1
    assert simulator.stats.in_flight == 0


async def test_reset_closes_before_the_headers(simulator: Simulator) -> None:
    with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
        await embed(simulator, "[[fault=reset]]")
    assert simulator.stats.inputs_served == 1


async def test_hang_lasts_until_the_client_goes(simulator: Simulator) -> None:
    waiting = asyncio.create_task(chat(simulator, "[[fault=hang]]"), name="hanging")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while simulator.stats.in_flight == 0:
            await asyncio.sleep(0.001)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        while simulator.stats.in_flight:
            await asyncio.sleep(0.001)
    assert simulator.stats.inputs_served == 1
    assert simulator.stats.snapshot()["by_status"] == {}


async def test_a_hanging_request_does_not_hold_up_the_end() -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with serve() as simulator:
            waiting = asyncio.create_task(chat(simulator, "[[fault=hang]]"), name="hanging")
            while simulator.stats.in_flight == 0:
                await asyncio.sleep(0.001)
        with pytest.raises(aiohttp.ClientError):
            await waiting


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_spoiled_vectors(simulator: Simulator, encoding: str) -> None:
    def decoded(vector: Any) -> list[float | None]:
        if isinstance(vector, str):
            raw = base64.b64decode(vector)
            return list(struct.unpack(f"<{len(raw) // 4}f", raw))
        return list(vector)

    inputs = ["fine", "[[fault=nan]]", "[[fault=inf]]", "[[fault=wrong_dimension]]"]
    answer = await embed(simulator, inputs, encoding_format=encoding)
    fine, nan, inf, longer = [decoded(item["embedding"]) for item in answer.json["data"]]
    assert (len(fine), len(nan), len(inf), len(longer)) == (8, 8, 8, 9)
    assert nan[0] is None or math.isnan(nan[0])
    assert inf[0] is None or math.isinf(inf[0])
    assert all(value is not None and math.isfinite(value) for value in fine)
    assert simulator.stats.inputs_served == 4

    halved = await embed(simulator, ["a", "[[fault=other_model]]"], encoding_format=encoding)
    assert [len(decoded(item["embedding"])) for item in halved.json["data"]] == [4, 4]
    garbled = await embed(simulator, ["a", "[[fault=bad_base64]]"], encoding_format=encoding)
    assert garbled.json["data"][1]["embedding"] == "no vector"


async def test_answers_that_lack_or_repeat_items(simulator: Simulator) -> None:
    def indexes(answer: Any) -> list[int]:
        return [item["index"] for item in answer.json["data"]]

    assert indexes(await embed(simulator, ["a", "[[fault=short]]", "c"])) == [0, 1]
    assert indexes(await embed(simulator, ["a", "[[fault=duplicate_index]]", "c"])) == [0, 1, 1]
    assert indexes(await embed(simulator, "[[fault=duplicate_index]]")) == [0, 0]
    assert (await chat(simulator, "[[fault=short]]")).json["choices"] == []


async def test_spoiled_chat_answers(simulator: Simulator) -> None:
    for name in ("content_filter", "length"):
        answer = await chat(simulator, f"[[fault={name}]]")
        assert answer.json["choices"][0]["finish_reason"] == name
    refused = (await chat(simulator, "[[fault=refusal]]")).json["choices"][0]["message"]
    assert refused["content"] is None
    assert refused["refusal"].startswith("I'm sorry")
    silent = (await chat(simulator, "[[fault=no_content]]")).json["choices"][0]["message"]
    assert (silent["content"], silent["refusal"]) == (None, None)
    invalid = await chat(simulator, "[[fault=invalid_json]]", response_format=FORMAT)
    assert orjson.loads(content(invalid)) == ["not asked"]


async def test_result_faults_of_the_other_endpoint_have_no_effect(simulator: Simulator) -> None:
    assert (await embed(simulator, "[[fault=refusal]]")).status == 200
    assert (await chat(simulator, "[[fault=nan]]")).status == 200
    assert simulator.stats.faults == {}


async def test_rates_are_kept_and_seeded() -> None:
    config = SimulatorConfig(
        error_rate=0.1, garbage_rate=0.05, hang_rate=0.02, disconnect_rate=0.01, seed=7
    )
    first, second = Faults(config.seed), Faults(config.seed)
    drawn = [[f.name for f in first.due(["a"], config, frozenset())] for _ in range(20_000)]
    again = [[f.name for f in second.due(["a"], config, frozenset())] for _ in range(20_000)]
    assert drawn == again
    for name, rate in (("500", 0.1), ("garbage", 0.05), ("hang", 0.02), ("disconnect", 0.01)):
        assert drawn.count([name]) / 20_000 == pytest.approx(rate, rel=0.2)


def test_a_marker_comes_before_chance() -> None:
    faults, config = Faults(0), SimulatorConfig(error_rate=1)
    assert [f.name for f in faults.due(["[[fault=418*1]]"], config, frozenset())] == ["418"]
    assert [f.name for f in faults.due(["[[fault=418*1]]"], config, frozenset())] == ["500"]


@pytest.mark.parametrize("marker", ["[[fault=]]", "[[fault=500*x]]", "[[fault=500*]]"])
def test_a_malformed_marker_is_refused(marker: str) -> None:
    with pytest.raises(Refused):
        Faults(0).due([marker], CONFIG, frozenset())


def test_a_marker_that_was_cut_off_is_text() -> None:
    assert Faults(0).due(["[[fault=500"], CONFIG, frozenset()) == []
