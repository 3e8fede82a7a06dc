"""What every route must keep to: the online one, and one of the tests' that gathers groups."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.adapters.throttle import MemoryThrottle
from batcher.core.errors import RowError, TransportError
from batcher.core.job.spec import JobSpec
from batcher.core.kind import TextFile
from batcher.core.model import Learned
from batcher.core.throttle.slots import Slots
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.byte_room import ByteRoom
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.parts import make_requests
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.routes.online.route import make_online_route
from batcher.engine.routes.route import MakeRoute, RouteNeeds, Sent
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.shards.allowance import Reservations
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.held_shards import HeldShards
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import Checkpoint, Reply
from jobs.chat import KIND as CHAT
from tests.engine.calls import a_shard
from tests.engine.routes.collecting_route import CollectingRoute, Terms
from tests.engine.virtual_time import LoopClock, in_virtual_time

SPEC = JobSpec(kind="chat", model="gpt-4o-mini", input="in.jsonl", base_url="http://127.0.0.1/v1")


def make_collecting_route(needs: RouteNeeds) -> CollectingRoute:
    return CollectingRoute(needs, Terms(size=4, most_seconds=20.0, linger_seconds=1.0, seed=3))


ROUTES: dict[str, MakeRoute] = {"online": make_online_route, "collecting": make_collecting_route}
every_route = pytest.mark.parametrize("make", list(ROUTES.values()), ids=list(ROUTES))


class WatchedGate(SendGate):
    """A gate that sees to it that a route asks before it sends."""

    def __init__(self, queue: CallQueue, writer: CheckpointWriter, budget: RunBudget) -> None:
        super().__init__(queue, writer, budget)
        self.calls: list[Call] = []
        self.most = 0

    def sent(self, call: Call) -> None:
        assert call.shard.allows(call), "beyond the allowance"
        assert self.is_paid(call), "beyond the budget"
        assert not call.shard.lost, "somebody else's"
        assert call.after_flush <= self.written, "its record is not written"
        super().sent(call)
        self.calls.append(call)
        self.most = max(self.most, self.in_flight)


class World:
    """A route with its queue, its gate and a provider; ``seen`` is what came of each call."""

    def __init__(self, make: MakeRoute, *, seed: int = 0, budget: int | None = None) -> None:
        self.clock = LoopClock()
        self.chance = Random(seed)
        self.budget = RunBudget(budget_picousd=budget, spent_picousd=0, worst_of=lambda call: 10)
        self.queue = CallQueue(self.clock)
        self.writer = CheckpointWriter(
            HeldShards(on_lost=lambda shard: None),
            Reservations(self._write, None),
            clock=self.clock,
            room=ByteRoom(),
            on_flush=lambda committed, seconds: self.queue.wake(),
        )
        self.gate = WatchedGate(self.queue, self.writer, self.budget)
        self.seen: list[tuple[str, Call]] = []
        self.asked_for_more = 0
        self.route = make(self._needs())

    def _needs(self) -> RouteNeeds:
        given: Any = SimpleNamespace
        bound: Any = CHAT.bind({"prompt": TextFile("p.txt", "{{ text }}")})
        return RouteNeeds(
            job_id="j1",
            spec=SPEC,
            services=given(
                clock=self.clock, chance=self.chance, slots=Slots(), room=ByteRoom()
            ),
            connection=given(
                provider=given(post=self._post), throttle=MemoryThrottle(self.clock), quota="q"
            ),
            gate=self.gate,
            requests=make_requests(
                bound, SPEC, Learned(), price=None, charges_prompt_too=False, cap=None,
                fixed_tokens=0,
            ),
            keys=IdempotencyKeys(None),
            name=self._name,
            end=lambda ending: None,
        )  # fmt: skip

    def _name(self, call: Call) -> str:
        call.request_id = f"r-{len(self.gate.calls)}-{id(call)}"
        return call.request_id

    async def _write(self, checkpoints: Sequence[Checkpoint]) -> set[int]:
        del checkpoints
        return set()

    async def _post(self, path: str, body: bytes, name: str, **more: Any) -> Reply:
        del path, body, name, more
        await asyncio.sleep(self.chance.uniform(0.0, 2.0))
        if self.chance.random() < 0.2:
            raise TransportError("disconnect", "gone", maybe_billed=True)
        return Reply(200, {}, b"{}")

    # --- who takes the answers ----------------------------------------------------------------

    async def answered(self, sent: Sent, reply: Reply) -> None:
        await self.route.feedback.observe(sent, reply, None)
        self.route.feedback.succeed()
        self._over("answered", sent.call)

    async def lost(self, sent: Sent, error: TransportError) -> None:
        del error
        self.route.feedback.object_to(sent)
        self._over("lost", sent.call)

    def unsendable(self, call: Call, failed: Mapping[int, RowError]) -> None:
        del failed
        self._over("unsendable", call)

    def leave(self, call: Call) -> None:
        self._over("left", call)

    def _over(self, what: str, call: Call) -> None:
        """Each call costs 10, whatever comes of it."""
        self.budget.pay(10)
        self.seen.append((what, call))

    # --- running ------------------------------------------------------------------------------

    def add(self, *requests: int, shard_id: int = 1) -> LeasedShard:
        shard = a_shard(*requests, shard_id=shard_id)
        self.writer.add(shard)
        self.queue.add(shard)
        return shard

    def _hungry(self) -> None:
        self.asked_for_more += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        writing = asyncio.create_task(self.writer.run())
        with self.route.open():
            running = asyncio.create_task(self.route.run(self, self._hungry))
            try:
                yield
            finally:
                running.cancel()
                writing.cancel()
                await asyncio.gather(running, writing, return_exceptions=True)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(3600.0):
            while not is_so():
                assert self.route.figures.in_flight == self.gate.in_flight
                await asyncio.sleep(0.1)


@every_route
@settings(max_examples=8, deadline=None)
@given(requests=st.lists(st.integers(1, 3), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_each_call_is_sent_once_and_something_comes_of_it(
    make: MakeRoute, requests: list[int], seed: int
) -> None:
    @in_virtual_time
    async def run() -> World:
        world = World(make, seed=seed)
        async with world.running():
            world.add(*requests)
            await world.until(lambda: world.gate.is_idle)
        return world

    world = run()
    assert sorted(call.unit_index for _, call in world.seen) == list(range(len(requests)))
    assert sorted(call.unit_index for call in world.gate.calls) == list(range(len(requests)))
    assert {what for what, _ in world.seen} <= {"answered", "lost"}
    assert all(call.tried_at is not None for call in world.gate.calls)
    assert world.asked_for_more > 0


@every_route
@settings(max_examples=8, deadline=None)
@given(
    seconds=st.floats(0.0, 30.0), grace_seconds=st.sampled_from([0.0, 1.0, 60.0]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_once_drained_nothing_is_in_flight_and_no_call_is_lost_sight_of(
    make: MakeRoute, seconds: float, grace_seconds: float, seed: int
) -> None:
    @in_virtual_time
    async def run() -> tuple[World, int]:
        world = World(make, seed=seed)
        async with world.running():
            world.add(*[1] * 30)
            await asyncio.sleep(seconds)
            world.route.halt()
            sent = len(world.gate.calls)
            await world.route.drain(grace_seconds)
            assert world.gate.in_flight == 0
            assert len(world.gate.calls) == sent
            await asyncio.sleep(100.0)
        return world, sent

    world, sent = run()
    assert len(world.gate.calls) == sent
    over = [call.unit_index for _, call in world.seen]
    waiting = [call.unit_index for call in world.queue.waiting()]
    assert sorted(over + waiting) == list(range(30))


@every_route
@in_virtual_time
async def test_cancelled_it_leaves_what_was_in_flight(make: MakeRoute) -> None:
    world = World(make)
    async with world.running():
        world.add(*[1] * 8)
        await world.until(lambda: len(world.gate.calls) >= 4)
        await asyncio.sleep(0.001)
    over = [call.unit_index for _, call in world.seen]
    assert len(over) == len(set(over))
    assert set(over) <= {call.unit_index for call in world.gate.calls}
    assert "left" in {what for what, _ in world.seen}


@every_route
@in_virtual_time
async def test_a_drain_before_it_has_begun_is_no_error(make: MakeRoute) -> None:
    world = World(make)
    world.add(1, 1)
    world.route.halt()
    await world.route.drain(1.0)
    async with world.running():
        await asyncio.sleep(10.0)
    assert world.gate.calls == []
    assert len(world.queue) == 2


@every_route
@in_virtual_time
async def test_in_a_doubt_one_goes_at_a_time(make: MakeRoute) -> None:
    world = World(make)
    world.route.feedback.health.doubted = True
    async with world.running():
        world.add(*[1] * 6)
        await world.until(lambda: world.gate.is_idle)
    assert world.gate.most == 1


@every_route
@in_virtual_time
async def test_calls_of_a_shard_that_was_lost_are_not_sent(make: MakeRoute) -> None:
    world = World(make)
    lost = world.add(*[1] * 3)
    lost.lost = True
    async with world.running():
        world.add(*[1] * 3, shard_id=2)
        await world.until(lambda: world.gate.is_idle)
    assert {call.shard.id for call in world.gate.calls} == {2}


@every_route
@in_virtual_time
async def test_what_cannot_be_paid_for_is_not_sent(make: MakeRoute) -> None:
    world = World(make, budget=35)
    async with world.running():
        world.add(*[1] * 9)
        await world.until(lambda: world.gate.unpaid)
        await asyncio.sleep(60.0)
    assert len(world.gate.calls) == 3
    assert len(world.queue) == 6
