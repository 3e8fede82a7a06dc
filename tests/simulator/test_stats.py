from __future__ import annotations

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.simulator.seen import HashSet
from batcher.simulator.stats import Stats
from tests.simulator.client import chat, embed, request
from tests.waiting import PATIENCE_SECONDS

hashes = st.binary(min_size=16, max_size=16).filter(any)


@settings(deadline=None)
@given(st.lists(st.one_of(hashes, st.sampled_from([b"a" * 16, b"b" * 16])), max_size=300))
def test_a_hash_set_is_a_set(members: list[bytes]) -> None:
    ours, theirs = HashSet(), set[bytes]()
    for member in members:
        assert ours.add(member) is (member not in theirs)
        theirs.add(member)
    assert len(ours) == len(theirs)


def test_a_hash_set_grows() -> None:
    rng, ours = random.Random(1), HashSet()
    members = [rng.randbytes(16) for _ in range(40_000)]
    assert all(ours.add(member) for member in members)
    assert not any(ours.add(member) for member in members)
    assert len(ours) == 40_000


async def test_servings_are_counted_for_each_input(simulator: Simulator) -> None:
    await embed(simulator, ["a", "b", "c"])
    await embed(simulator, ["b", "c", "c"], model="text-embedding-3-large")
    await embed(simulator, [1, 2])
    await embed(simulator, [[1, 2], [1, 3]])
    await chat(simulator, "a")
    await chat(simulator, "a", max_tokens=5, temperature=0)
    await chat(simulator, "a", "a")
    stats = simulator.stats
    assert (stats.inputs_served, stats.distinct_inputs, stats.inputs_served_twice) == (12, 7, 5)
    assert (stats.requests, stats.requests_served, stats.requests_served_twice) == (7, 7, 3)


async def test_tokens_are_counted_once_and_twice() -> None:
    async with serve(count_tokens=len) as simulator:
        await embed(simulator, ["aa", "bbb"])
        await embed(simulator, ["bbb", "c"])
        assert simulator.stats.prompt_tokens == 9
        assert simulator.stats.tokens_served_twice == 3
        first = (await chat(simulator, "a", max_tokens=5)).json["usage"]
        again = (await chat(simulator, "a", max_tokens=3)).json["usage"]
        assert simulator.stats.prompt_tokens == 9 + first["prompt_tokens"] + again["prompt_tokens"]
        assert simulator.stats.completion_tokens == 8
        assert simulator.stats.tokens_served_twice == 3 + again["total_tokens"]


async def test_the_snapshot_names_every_count(simulator: Simulator) -> None:
    await embed(simulator, ["a", "b"])
    await chat(simulator, "[[fault=418]]")
    stats = (await request(simulator, "/_stats")).json
    assert stats == simulator.stats.snapshot()
    assert isinstance(stats.pop("first_request_at"), float)
    assert isinstance(stats.pop("last_request_at"), float)
    assert stats == {
        "requests": 2,
        "requests_served": 1,
        "requests_served_twice": 0,
        "requests_replayed": 0,
        "inputs_replayed": 0,
        "by_status": {"200": 1, "418": 1},
        "rate_limited": 0,
        "faults": {"418": 1},
        "inputs_served": 2,
        "inputs_served_twice": 0,
        "distinct_inputs": 2,
        "tokens": {"prompt": 2, "completion": 0, "cached": 0, "cache_written": 0, "reasoning": 0},
        "by_tier": {},
        "tokens_served_twice": 0,
        "tokens_charged": 2,
        "in_flight": 0,
        "max_in_flight": 1,
    }


async def test_work_counts_when_it_starts_though_the_client_goes() -> None:
    async with (
        serve(SimulatorConfig(latency_ms=3_600_000)) as simulator,
        asyncio.timeout(PATIENCE_SECONDS),
    ):
        waiting = [
            asyncio.create_task(chat(simulator, f"row {i}"), name=f"row {i}") for i in range(5)
        ]
        while simulator.stats.inputs_served < 5:
            await asyncio.sleep(0.001)
        assert simulator.stats.in_flight == 5
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        while simulator.stats.in_flight:
            await asyncio.sleep(0.001)
        assert simulator.stats.max_in_flight == 5
        assert simulator.stats.inputs_served == 5
        assert simulator.stats.completion_tokens > 0


async def test_reset_forgets_counts_faults_and_charges() -> None:
    async with serve(SimulatorConfig(rpm=2)) as simulator:
        await chat(simulator, "[[fault=500*1]]")
        await chat(simulator, "[[fault=500*1]]")
        assert (await chat(simulator, "a")).status == 429
        assert (await request(simulator, "/_reset", {})).status == 200
        assert simulator.stats.snapshot() == Stats().snapshot()
        assert (await chat(simulator, "[[fault=500*1]]")).status == 500


async def test_repr_tells_the_counts(simulator: Simulator) -> None:
    await embed(simulator, ["a", "a"])
    expected = "<Stats 1 requests, 1 served, 0 rate limited, 2 inputs, 1 twice>"
    assert repr(simulator.stats) == expected
    assert repr(simulator) == f"<Simulator {simulator.url} {expected}>"
