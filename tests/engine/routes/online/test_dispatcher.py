"""The pump: whatever the time does between its steps, it never sleeps through what is due."""

from __future__ import annotations

import asyncio
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batcher.core.failures.outage import Health
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.sharing import ANYBODY
from batcher.core.throttle.slots import Seat, Slots
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.in_flight import InFlight
from batcher.engine.routes.online.send_times import SendTimes
from batcher.engine.routes.send_gate import SendGate
from batcher.ports import Grant
from tests.engine.virtual_time import LoopClock, VirtualLoop, in_virtual_time


class SlowClock(LoopClock):
    """Each look at it takes some time, as the steps between two looks do."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> float:
        self._loop.now += self._seconds  # type: ignore[attr-defined]
        return super().now()


class Throttle:
    """Grants nothing before a time, and then for a while after it."""

    def __init__(self, come_back_at: float, ahead: float) -> None:
        self.come_back_at = come_back_at
        self.ahead = ahead
        self.clock: LoopClock

    async def reserve(self, quota: str, costs: list[TokenDemand], flow: object) -> Grant:
        del quota, flow
        now = self.clock.now()
        if now < self.come_back_at:
            return Grant(tickets=(), come_back_at=self.come_back_at)
        tickets = [Ticket(now + self.ahead, 0, cost, 1.0, 1.0) for cost in costs]
        return Grant(tickets=tuple(tickets))

    def is_void(self, quota: str, ticket: Ticket) -> bool:
        del quota, ticket
        return False


def dispatcher_of(throttle: Throttle, clock: LoopClock) -> tuple[CallQueue, Dispatcher]:
    made: Any = SimpleNamespace
    throttle.clock = clock
    window = ConcurrencyWindow(8, 8)
    window.succeeded(limits_known=True)
    queue = CallQueue(clock)
    in_flight = InFlight(
        window, Health(), slots=Slots(), seat=Seat(1.0, queue.wake), clock=clock, chance=Random(1)
    )
    gate = SendGate(
        queue,
        made(flushed=0, budget_short=False, backlogged=False, note_sent=lambda shard: None),
        made(affords=lambda call: True, send=lambda call: None),
    )
    send_times = SendTimes(throttle, "quota", ANYBODY, lambda call: TokenDemand(1))  # type: ignore[arg-type]
    return queue, Dispatcher(gate, send_times, in_flight, clock)


def a_shard() -> Any:
    """One that is leased and may be sent."""
    worklist = SimpleNamespace(next_unit=0)
    return SimpleNamespace(lost=False, allows=lambda call: True, worklist=worklist)


def no_more() -> None:
    """There are no more calls to be queued."""


@settings(deadline=None)
@given(
    reading=st.floats(0.0, 0.0009),
    due=st.floats(0.01, 3.0),
    ahead=st.floats(0, 1.0),
    early=st.floats(0, 0.003),
)
def test_what_is_due_goes_out_in_time(
    reading: float, due: float, ahead: float, early: float
) -> None:
    @in_virtual_time
    async def started() -> float:
        clock = SlowClock(reading)
        begin = clock.now()
        queue, dispatcher = dispatcher_of(Throttle(begin + due, ahead), clock)
        shard: Any = SimpleNamespace(
            lost=False, allows=lambda call: True, worklist=SimpleNamespace(next_unit=0)
        )
        call: Any = SimpleNamespace(shard=shard, pieces=(1,), tokens=1, unit_index=1, tried_at=None)
        shard.calls = [call]
        sent = asyncio.Event()
        queue.add(shard)
        # News that changes nothing, just before there is something to do.
        asyncio.get_running_loop().call_later(due - early, queue.wake)
        pump = asyncio.create_task(dispatcher.pump(lambda call, ticket: sent.set(), no_more))
        async with asyncio.timeout(60):
            await sent.wait()
        pump.cancel()
        return clock.now() - begin

    assert started() == pytest.approx(due + ahead, abs=0.05)


class MillisecondLoop(VirtualLoop):
    """Its timers count whole milliseconds, as uvloop's do: a short one fires before time passes."""

    def call_later(  # type: ignore[override]  # typeshed's has a variadic type of its own
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> Any:
        """See asyncio's."""
        milliseconds = round(delay * 1000)
        if not milliseconds:
            return self.call_soon(callback, *args, context=context)
        return super().call_later(milliseconds / 1000, callback, *args, context=context)


class CountingClock(LoopClock):
    """Counts how often it is looked at, and gives up on whoever does nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        assert self.looks < 1000, "the pump goes round and round, and no time passes"
        return super().now()


@given(due=st.floats(0.0, 0.003))
@example(due=1e-10)
@example(due=0.0004)
@example(due=0.0005)
def test_a_short_wait_lets_time_pass(due: float) -> None:
    async def sent() -> float:
        clock = CountingClock()
        begin = clock.now()
        queue, dispatcher = dispatcher_of(Throttle(begin + due, 0.0), clock)
        shard: Any = SimpleNamespace(
            lost=False, allows=lambda call: True, worklist=SimpleNamespace(next_unit=0)
        )
        shard.calls = [
            SimpleNamespace(shard=shard, pieces=(1,), tokens=1, unit_index=1, tried_at=None)
        ]
        queue.add(shard)
        await dispatcher.pump(lambda call, ticket: dispatcher.halt(), no_more)
        return clock.now() - begin

    with asyncio.Runner(loop_factory=MillisecondLoop) as runner:
        assert runner.run(sent()) <= due + 0.002
