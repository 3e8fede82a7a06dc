"""The parts that act on answers, put together without a provider or a store."""

from __future__ import annotations

import json
from typing import Any

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, Shape, TextFile
from batcher.core.model import Learned
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.engine.requests.parts import make_requests
from batcher.engine.routes.route import Sent
from batcher.engine.settling.arrivals import Arrivals
from batcher.engine.settling.failing.failures import FailureReader, Failures
from batcher.engine.settling.failing.known_good import KnownRequest
from batcher.engine.settling.failing.rate_limits import RateLimits
from batcher.engine.settling.outcomes import Outcomes
from batcher.engine.settling.reading import AnswerReader, UsageReader
from batcher.engine.settling.repairs import Repairs
from batcher.engine.settling.settler import Settler
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import Checkpoint, Reply
from jobs.chat import KIND as CHAT
from tests.engine.settling.failing.parts import KEY, Failing

SPEC = JobSpec(kind="chat", model="gpt-4o-mini", input="in.jsonl", base_url="http://127.0.0.1/v1")


class Settling(Failing):
    """One of each, for a job of the kind chat."""

    def __init__(self, *, had_success: bool = False, known: KnownRequest | None = None) -> None:
        super().__init__(had_success=had_success, known=known)
        bound: Any = CHAT.bind({"prompt": TextFile("p.txt", "{{ text }}"), "max_tokens": 30})
        made = make_requests(
            bound, SPEC, Learned(), price=None, charges_prompt_too=False, cap=None, fixed_tokens=0
        )
        self.learning = made.learning
        self.arrivals = Arrivals(self.telemetry, self.pace, self.state, self.verdicts)
        self.repairs = Repairs(
            self.verdicts, self.passing, self.accounts, secrets=(KEY,), end=self.end
        )
        self.rate_limits = RateLimits(self.parts, self.pace, self.clock)
        self.outcomes = Outcomes(
            self.writer,
            self.arrivals,
            self.verdicts,
            repairs=self.repairs,
            known_good=self.known_good,
            vectors=self._vectors(),
        )
        self.settler = self._settler(bound, UsageReader(
            made.prices, made.allowances, open_tokenizer(SPEC.model), free_output=False
        ))  # fmt: skip

    def _vectors(self) -> VectorLength:
        async def learn(learned: Learned) -> None:
            del learned

        return VectorLength(
            shape=Shape.JSON,
            learning=self.learning,
            checkpoint_writer=self.writer,
            learn=learn,
            ask_again=self.repairs.ask_for_vectors,
        )

    def _settler(self, bound: BoundKind, usage: UsageReader) -> Settler:
        failures = Failures(
            FailureReader(self.learning, self.clock, (KEY,)),
            self.pace,
            rate_limits=self.rate_limits,
            passing=self.passing,
            refusals=self.refusals,
            verdicts=self.verdicts,
        )
        return Settler(
            AnswerReader(usage, bound, "chat", (KEY,)),
            self.arrivals,
            self.accounts,
            outcomes=self.outcomes,
            failures=failures,
            known_good=self.known_good,
        )

    def sent(self, call: Call) -> Sent:
        """The call, as the online route sends it now."""
        now = self.clock.now()
        return self.pace.begin(call, Ticket(now, 0, TokenDemand(1), 1.0, 1.0), Learned())

    def taken(self, shard: LeasedShard) -> Checkpoint:
        """What the shard has to say since the last time."""
        return shard.take_checkpoint(sent_through=0, released=False)

    def due(self) -> list[Call]:
        """The calls that wait to be sent again, whenever that is."""
        return [call for call in self.queue.waiting() if call not in self.queue.ready]


def answer(content: str, **more: Any) -> Reply:
    """A chat completion of ten and five tokens."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": content, **more}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return Reply(200, {}, json.dumps({"choices": [choice], "usage": usage}).encode())


def error(status: int, code: str, **headers: str) -> Reply:
    """An error as OpenAI words it."""
    body = {"error": {"message": f"no: {KEY}", "code": code, "type": "an_error"}}
    return Reply(status, headers, json.dumps(body).encode())
