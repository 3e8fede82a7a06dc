"""The gate between the queue and a route: money, allowances, and what is in flight."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.byte_room import ByteRoom
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.shards.allowance import Reservations
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.held_shards import HeldShards
from batcher.ports import Checkpoint
from tests.engine.calls import a_shard
from tests.fakes import FakeClock


class Gate:
    """A gate before four calls, each of which may cost 10 picodollars."""

    def __init__(self, budget: int | None = None) -> None:
        self.clock = FakeClock()
        self.room = ByteRoom(100)
        self.written: list[Checkpoint] = []
        self.queue = CallQueue(self.clock)
        self.writer = CheckpointWriter(
            HeldShards(on_lost=lambda shard: None),
            Reservations(self._write, None),
            clock=self.clock,
            room=self.room,
            on_flush=lambda committed, seconds: None,
        )
        self.budget = RunBudget(budget_picousd=budget, spent_picousd=0, worst_of=lambda call: 10)
        self.gate = SendGate(self.queue, self.writer, self.budget)
        self.shard = a_shard(1, 1, 1, 1)
        self.writer.add(self.shard)
        self.queue.add(self.shard)

    async def _write(self, checkpoints: Sequence[Checkpoint]) -> set[int]:
        self.written += checkpoints
        return set()

    def send(self) -> Call:
        (call,) = self.gate.next(1)
        self.gate.sent(call)
        return call


def test_calls_go_in_their_order_and_are_in_flight_until_they_land() -> None:
    gate = Gate().gate
    calls = gate.next(2)
    assert [call.unit_index for call in calls] == [0, 1]
    assert gate.is_alone
    for call in calls:
        gate.sent(call)
    assert (gate.in_flight, gate.is_alone, gate.is_idle) == (2, False, False)
    gate.landed(calls[0])
    assert gate.is_alone
    gate.landed(calls[1])
    for call in gate.next(2):
        assert not gate.is_idle or not gate.queue
        gate.sent(call)
        gate.landed(call)
    assert gate.is_idle


async def test_what_is_sent_first_is_counted_against_the_allowance() -> None:
    """A repeat is not: its shard's allowance has covered it once."""
    gate = Gate()
    await gate.writer.flush()
    call = gate.send()
    assert gate.shard.worklist.next_unit == 1
    gate.gate.landed(call)
    gate.gate.sent(call)
    assert gate.shard.worklist.next_unit == 1


def test_nothing_goes_that_could_not_be_paid_for_at_its_worst() -> None:
    gate = Gate(budget=25)
    first, second = gate.send(), gate.send()
    assert gate.gate.next(1) == []
    assert not gate.gate.unpaid, "what is in flight may cost less than it might"
    gate.gate.landed(first)
    third = gate.send()
    assert third.unit_index == 2
    for call in (second, third):
        gate.budget.pay(10)
        gate.gate.landed(call)
    assert gate.gate.next(1) == []
    assert gate.gate.unpaid


def test_calls_that_wait_for_their_time_are_not_unpaid() -> None:
    gate = Gate(budget=10)
    call = gate.send()
    gate.budget.pay(10)
    gate.queue.again(call, after_seconds=5.0)
    gate.gate.landed(call)
    assert not gate.gate.unpaid


async def test_what_waits_for_its_record_has_it_written() -> None:
    gate = Gate()
    await gate.writer.flush()
    call = gate.send()
    call.after_flush = gate.writer.promise()
    gate.queue.again(call)
    gate.gate.landed(call)
    gate.gate.move_due(gate.clock.now(), behind=False)
    assert call not in gate.queue.ready
    await gate.writer.flush()
    assert gate.gate.written >= call.after_flush
    gate.gate.move_due(gate.clock.now(), behind=False)
    assert gate.queue.ready[0] is call


@pytest.mark.parametrize("in_flight", [True, False])
def test_where_results_wait_for_the_disk_nothing_joins_what_is_in_flight(in_flight: bool) -> None:
    """One alone may go: it may be what the results wait for."""
    gate = Gate()
    if in_flight:
        gate.send()
    gate.room.keep(100)
    assert gate.gate.is_blocked == in_flight
