"""The parts that act on failures, put together without a provider, a store or a throttle."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from batcher.adapters.throttle import MemoryThrottle
from batcher.core.failures.outage import Health
from batcher.core.model import Tally
from batcher.core.money.expected_tokens import PromptAllowance
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.slots import Seat, Slots
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.byte_room import ByteRoom
from batcher.engine.job.endings import Ending
from batcher.engine.requests.demand import Allowances, WorstCase
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.output_limits import OutputLimits
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.routes.online.in_flight import InFlight
from batcher.engine.routes.online.pace import Pace
from batcher.engine.routes.send_gate import SendGate
from batcher.engine.settling.accounts import Accounts
from batcher.engine.settling.failing.dead_letters import DeadLetters
from batcher.engine.settling.failing.failure_parts import FailureParts
from batcher.engine.settling.failing.known_good import KnownGood, KnownRequest
from batcher.engine.settling.failing.passing_failures import PassingFailures
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.settling.failing.refusals import Refusals
from batcher.engine.settling.failing.retries import Retries
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.shards.allowance import Reservations
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.held_shards import HeldShards
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.telemetry.run_stats import RunStats
from batcher.engine.telemetry.run_telemetry import RunLabels, RunTelemetry, TelemetrySinks
from batcher.ports import Checkpoint
from tests.fakes import FakeClock

WORST_CASE = WorstCase(None, OutputLimits(10), Allowances(PromptAllowance(0)))
KEY = "sk-a-key-that-nobody-may-see-0123456789"


class Failing:
    """One of each. ``endings`` are the reasons for which the run was ended."""

    def __init__(self, *, had_success: bool = False, known: KnownRequest | None = None) -> None:
        """``known`` is a prompt that an earlier run had answered, with its tokens."""
        self.clock = FakeClock()
        self.endings: list[Ending] = []
        self.written: list[Checkpoint] = []
        self.health = Health()
        self.queue = CallQueue(self.clock)
        self.in_flight = InFlight(
            ConcurrencyWindow(8, 8),
            self.health,
            slots=Slots(),
            seat=Seat(1.0, self.queue.wake),
            clock=self.clock,
            chance=Random(1),
        )
        self.writer = CheckpointWriter(
            HeldShards(on_lost=lambda shard: None),
            Reservations(self._write, None),
            clock=self.clock,
            room=ByteRoom(),
            on_flush=lambda committed, seconds: None,
        )
        labels = RunLabels(job="j", kind="chat", model="m", endpoint="/x", owner="o")
        self.live = RunStats(rows=9, base=Tally(), started_at=0.0, rows_planned=9, priced=False)
        self.telemetry = RunTelemetry(
            labels, self.live, TelemetrySinks(), clock=self.clock, secrets=(KEY,)
        )
        self.budget = RunBudget(budget_picousd=None, spent_picousd=0, worst_of=WORST_CASE.of_call)
        self.gate = SendGate(self.queue, self.writer, self.budget)
        self.throttle = MemoryThrottle(self.clock)
        self.pace = Pace(
            throttle=self.throttle,
            quota="q",
            in_flight=self.in_flight,
            clock=self.clock,
            chance=Random(1),
        )
        self.state = ProviderState(self.pace, self.gate, self.clock)
        self.retries = Retries(self.queue, self.writer, Random(1))
        letters = DeadLetters(
            self.writer, self.telemetry, secrets=(KEY,), stop_at_first=False, end=self.end
        )
        self.verdicts = Verdicts(letters, self.retries, had_success=had_success, end=self.end)
        self.accounts = Accounts(
            WORST_CASE, IdempotencyKeys(None), self.writer, keeps_bills=False, priced=False
        )
        self.known_good = self._known_good(known)
        self.parts = FailureParts(
            state=self.state,
            retries=self.retries,
            verdicts=self.verdicts,
            known_good=self.known_good,
            telemetry=self.telemetry,
            end=self.end,
        )
        self.passing = PassingFailures(self.parts)
        self.refusals = Refusals(self.parts)

    def _known_good(self, known: KnownRequest | None) -> KnownGood:
        async def find() -> KnownRequest | None:
            return known

        return KnownGood(self.state, self.queue, self.accounts, self.budget, find=find)

    async def _write(self, checkpoints: Sequence[Checkpoint]) -> set[int]:
        self.written += checkpoints
        return set()

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)

    def fly(self, shard: LeasedShard) -> list[Call]:
        """The calls of a shard, all of them sent now."""
        self.writer.add(shard)
        for call in shard.calls:
            call.start(self.clock.now())
            self.in_flight.start(call)
            self.gate.sent(call)
        return shard.calls

    def land(self, call: Call) -> None:
        """The call is over."""
        self.in_flight.land(call)
        self.gate.landed(call)

    def succeed(self) -> None:
        """Another request succeeds that is sent now, a second later than all before."""
        self.clock.set(self.clock.now() + 1.0)
        self.state.succeeded(self.clock.now())
        self.verdicts.learn_of_success()

    def letters(self, shard: LeasedShard) -> list[tuple[int, str, str]]:
        """Row, code and message of the shard's dead letters since the last time."""
        checkpoint = shard.take_checkpoint(sent_through=0, released=False)
        return [(letter.row, letter.code, letter.message) for letter in checkpoint.dead]
