"""Answers that are kept for their idempotency keys: served again, and billed once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from batcher.simulator import Simulator, SimulatorConfig, serve
from tests.simulator.client import CHATTER, Answer, request


@pytest.fixture
async def keeping() -> AsyncIterator[Simulator]:
    async with serve(SimulatorConfig(idempotency=True, rpm=2, charge="usage")) as simulator:
        yield simulator


async def ask(simulator: Simulator, text: str, key: str | None) -> Answer:
    body = {"model": CHATTER, "messages": [{"role": "user", "content": text}]}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await request(simulator, "/v1/chat/completions", body, headers=headers)


async def test_the_same_key_gets_the_same_answer_and_is_billed_once(keeping: Simulator) -> None:
    """Neither does it take anything of the limit."""
    first = await ask(keeping, "a", "k-1")
    charged = keeping.stats.tokens_charged
    for _ in range(3):
        again = await ask(keeping, "a", "k-1")
        assert again.status == 200
        assert again.json["choices"] == first.json["choices"]
        assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    stats = keeping.stats.snapshot()
    assert (stats["requests_served"], stats["inputs_served_twice"]) == (1, 0)
    assert (stats["requests_replayed"], stats["inputs_replayed"]) == (3, 3)
    assert keeping.stats.tokens_charged == charged


async def test_a_key_of_another_body_is_refused(keeping: Simulator) -> None:
    await ask(keeping, "a", "k-1")
    other = await ask(keeping, "b", "k-1")
    assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")


async def test_what_was_lost_on_its_way_is_served_whole(keeping: Simulator) -> None:
    with pytest.raises(aiohttp.ClientError):
        await ask(keeping, "[[fault=disconnect]] a", "k-1")
    assert (await ask(keeping, "[[fault=disconnect]] a", "k-1")).status == 200
    assert keeping.stats.requests_served == 1


async def test_what_is_refused_is_not_kept(keeping: Simulator) -> None:
    for _ in range(2):
        refused = await ask(keeping, "[[fault=400]] a", "k-1")
        assert refused.status == 400
        assert "Idempotent-Replayed" not in refused.headers


@pytest.mark.parametrize("keeps", [True, False])
async def test_without_a_key_or_without_the_setting_all_is_served_anew(keeps: bool) -> None:
    async with serve(SimulatorConfig(idempotency=keeps)) as simulator:
        for _ in range(2):
            await ask(simulator, "a", None if keeps else "k-1")
        assert simulator.stats.inputs_served_twice == 1
        assert simulator.stats.requests_replayed == 0


async def test_a_reset_forgets_what_was_kept(keeping: Simulator) -> None:
    await ask(keeping, "a", "k-1")
    keeping.reset()
    assert "Idempotent-Replayed" not in (await ask(keeping, "a", "k-1")).headers
