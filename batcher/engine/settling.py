"""What an answer does: results, dead letters, another try, a pause, or the end of the run.

The decisions are the core's (:mod:`batcher.core.retry`); here they are carried out on the shard,
the queue and the throttle. Synchronous but for the throttle's words.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import orjson

from batcher.core.errors import KindFailed, TransportError
from batcher.core.failure import read_error
from batcher.core.kind import BoundKind, Broken, Done, Invalid, Outcome, Refused, Shape
from batcher.core.model import Learned, Usage
from batcher.core.outage import Health
from batcher.core.redaction import redact
from batcher.core.retry import (
    MAX_REPAIRS,
    Backoff,
    Chance,
    Dead,
    Drop,
    PauseJob,
    Rename,
    SharedPause,
    Split,
    StopJob,
    after_attempts,
    backoff_seconds,
    judge,
)
from batcher.engine.blame import Blame
from batcher.engine.dispatch import Dispatcher
from batcher.engine.ending import Ending, Endings
from batcher.engine.ledger import Ledger
from batcher.engine.pace import Pace, Sent
from batcher.engine.reading import read_outcomes, read_usage
from batcher.engine.requests import Requests
from batcher.engine.shard import Call, LeasedShard
from batcher.engine.vectors import Vectors
from batcher.engine.witness import Witness
from batcher.ports import Clock, Reply


class Settler:
    """Carries out what answers mean, for one job."""

    def __init__(
        self,
        *,
        bound: BoundKind,
        requests: Requests,
        pace: Pace,
        health: Health,
        ledger: Ledger,
        dispatcher: Dispatcher,
        clock: Clock,
        chance: Chance,
        witness: Witness,
        had_success: bool,
        stop_at_dead: bool,
        secrets: tuple[str, ...],
        learn: Callable[[Learned], Awaitable[None]],
        end: Callable[[Ending], None],
    ) -> None:
        """``learn`` writes down what was learned; ``secrets`` are struck from messages.

        ``end`` stops the run.
        """
        self._bound = bound
        self._requests = requests
        self._pace = pace
        self._health = health
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._clock = clock
        self._chance = chance
        self._witness = witness
        self._blame = Blame(had_success=had_success)
        self._stop_at_dead = stop_at_dead
        self._secrets = secrets
        self._end = end
        self._vectors = Vectors(
            requests=requests, ledger=ledger, learn=learn, ask_again=self._ask_again
        )

    # --- answers ------------------------------------------------------------------------------

    async def answered(self, sent: Sent, reply: Reply) -> None:
        """Act on a whole answer.

        Raises:
            KindFailed: the kind cannot read it.
        """
        call = sent.call
        if call.shard.lost:
            self._witness.answered(call, sent.at, reply, Usage())
            await self._pace.observe(sent, reply, None)
            return
        if 200 <= reply.status < 300:
            await self._succeeded(sent, reply)
        else:
            self._witness.answered(call, sent.at, reply)
            call.shard.record_usage(Usage(requests=1))
            await self._pace.observe(sent, reply, None)
            await self._failed(sent, reply)

    async def lost(self, sent: Sent, error: TransportError) -> None:
        """Act on a request that got no whole answer."""
        call = sent.call
        self._witness.lost(call, sent.at, error)
        if call.shard.lost:
            return
        call.shard.record_usage(Usage(requests=1))
        if error.maybe_billed:
            self.doubt(call)
        self._pace.object_to(sent)
        self._back_off(call, Backoff(error.code, redact(str(error), self._secrets)))

    def doubt(self, call: Call, pieces: int | None = None, *, costs: bool = True) -> None:
        """The call may have been billed and gives no result (for this many of its pieces)."""
        doubt = self._requests.doubt(call, call.pieces[:pieces])
        call.shard.record_doubt(doubt if costs else replace(doubt, cost_picousd=0))
        call.after_flush = self._ledger.promise()

    def take(self, shard: LeasedShard) -> None:
        """A shard was claimed, with what earlier leases left in it."""
        if self._bound.shape is Shape.VECTOR:
            self._vectors.take(shard)

    async def hear(self, learned: Learned) -> None:
        """What is written down of the provider may be from another worker of the job."""
        await self._vectors.hear(learned.dimension)

    async def conclude(self) -> bool:
        """Nothing else is left to be asked; returns whether anything had to be decided by that."""
        return await self._vectors.conclude()

    @property
    def waiting(self) -> bool:
        """Whether calls are held back because no success proves that the fault is theirs."""
        return bool(self._blame)

    def condemn(self) -> None:
        """Nothing else is left to be tried: what is held back will get no better."""
        for call, verdict in self._blame.condemn():
            self._give_up(call, verdict)

    def grant_last_try(self) -> bool:
        """In a long outage: let calls end that were spent before it, if there are no others."""
        if not self._blame.grant_last_try(self._dispatcher.waiting()):
            return False
        self._health.failing_since = None
        return True

    # --- success ------------------------------------------------------------------------------

    async def _succeeded(self, sent: Sent, reply: Reply) -> None:
        call = sent.call
        try:
            answer = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            self._witness.answered(call, sent.at, reply)
            await self._pace.observe(sent, reply, None)
            call.shard.record_usage(Usage(requests=1))
            self.doubt(call)
            self._back_off(call, Backoff("garbled_answer", "the answer is not a JSON object"))
            return
        usage = read_usage(answer, call, self._requests)
        self._witness.answered(call, sent.at, reply, usage)
        await self._pace.observe(sent, reply, usage.prompt_tokens + usage.completion_tokens)
        call.shard.record_usage(usage)
        try:
            outcomes = read_outcomes(
                self._bound, answer, call, kind=self._requests.kind, secrets=self._secrets
            )
        except KindFailed:
            self.doubt(call, costs=False)
            raise
        if self._bound.shape is Shape.VECTOR:
            outcomes = await self._vectors.check(call, outcomes)
        self._settle(call, outcomes, sent.at)

    def _settle(self, call: Call, outcomes: list[Outcome], sent_at: float) -> None:
        shard = call.shard
        broken: list[int] = []
        first_broken: Broken | None = None
        size = shard.pending_bytes
        usable = False
        for piece, outcome in zip(call.pieces, outcomes, strict=True):
            if isinstance(outcome, Done):
                shard.settle(piece, outcome.value)
                usable = True
            elif isinstance(outcome, Broken):
                broken.append(piece)
                first_broken = first_broken or outcome
            elif isinstance(outcome, Refused):
                usable = True
                self._bury_piece(call, piece, outcome.code, outcome.message)
            else:
                usable = True
                self._repair(call, outcome)
        self._ledger.note_result(shard.pending_bytes - size)
        if usable:
            self._note_success(sent_at)
        if first_broken is not None:
            part = call if len(broken) == len(call.pieces) else call.part(tuple(broken))
            self.doubt(part, costs=False)
            self._back_off(part, Backoff(first_broken.code, first_broken.message))
        if shard.finished:
            self._ledger.request()

    def _note_success(self, sent_at: float) -> None:
        self._health.succeeded(self._clock.now(), sent_at)
        self._pace.succeed()
        self._pace.resume()
        if self._blame.wants_success:
            guilty, again = self._blame.succeeded()
            for call, verdict in guilty:
                self._give_up(call, verdict)
            for call in again:
                self._dispatcher.again(call)

    def _repair(self, call: Call, invalid: Invalid) -> None:
        if call.repairs >= MAX_REPAIRS:
            self._bury_piece(call, call.pieces[0], invalid.code, invalid.message)
            return
        call.repairs += 1
        call.repair = invalid
        call.after_flush = self._ledger.promise()
        self._dispatcher.again(call)

    # --- failure ------------------------------------------------------------------------------

    async def _failed(self, sent: Sent, reply: Reply) -> None:
        call = sent.call
        error = read_error(
            reply.status, reply.headers, reply.body, wall=self._clock.wall(), secrets=self._secrets
        )
        verdict = judge(
            error,
            pieces=len(call.pieces),
            halved=call.halved,
            optional_parameters=self._bound.optional_parameters - sent.learned.dropped,
            renamed=sent.learned.renamed.keys(),
            accepted=self._blame.had_success,
        )
        if self._blame.had_success and not isinstance(verdict, Backoff | SharedPause):
            self._pace.succeed()
        match verdict:
            case SharedPause():
                await self._pause(sent, verdict)
            case Backoff():
                self._pace.object_to(sent)
                self._back_off(call, verdict)
            case Split():
                self._split(call, verdict)
            case Dead():
                self._suspect(call, verdict)
            case Rename(old, new):
                self._requests.rename(old, new)
                self._dispatcher.again(call)
            case Drop(param):
                self._requests.drop(param)
                self._dispatcher.again(call)
            case PauseJob(reason, wait):
                self._dispatcher.again(call)
                self._end(Endings.paused(reason, wait, wall=self._clock.wall()))
            case StopJob(reason):
                self._dispatcher.again(call)
                self._end(Endings.refused(reason))

    async def _pause(self, sent: Sent, pause: SharedPause) -> None:
        """A rate limit: try this one again when all may go on, attempts untouched."""
        self._witness.rate_limited()
        self._health.rate_limited(self._clock.now())
        wait = await self._pace.pause(sent, pause)
        if wait is not None:
            self._witness.paused(sent.call, wait)
        self._dispatcher.again(sent.call)

    def _ask_again(self, call: Call) -> None:
        """What came for the call was no result after all.

        A call that is in no worklist could be billed in a crash without anybody knowing of it, so
        that is said beforehand.
        """
        self.doubt(call, costs=False)
        if call.position < 0:
            self.doubt(call)
        self._back_off(
            call, Backoff("wrong_dimension", "the vector has not the dimensions that others have")
        )

    def _back_off(self, call: Call, failure: Backoff) -> None:
        """A failure that may pass: later, in halves, or never again."""
        now = self._clock.now()
        unreachable = failure.code == "connect"
        self._health.failed(now, failure.message if unreachable else failure.code)
        self._witness.retried()
        if self._health.in_outage(now):
            call.tried_at = now
            call.silence += 1
            self._dispatcher.probe_failed()
            self._later(call, failure)
            return
        alone = call.fail(now, self._health)
        if call.convicted and not unreachable:
            call.others_succeeded = True
        if call.others_succeeded:
            call.shard.record_attempts(call)
        verdict = after_attempts(
            call.tries,
            pieces=len(call.pieces),
            others_succeed=call.others_succeeded,
            final=failure.final,
            code=failure.code,
            message=failure.message,
        )
        if verdict is None:
            self._later(call, failure)
        elif alone or self._blame.last_try:
            self._give_up(call, verdict)
        elif not self._blame.spend(call, verdict):
            self._later(call, failure)
        self._dispatcher.wake()

    def _later(self, call: Call, failure: Backoff) -> None:
        seconds = backoff_seconds(call.tries, self._chance)
        self._dispatcher.again(call, max(seconds, failure.wait_seconds))

    def _give_up(self, call: Call, verdict: Split | Dead) -> None:
        if isinstance(verdict, Split):
            self._split(call, verdict)
        else:
            self._bury(call, verdict)

    def _split(self, call: Call, split: Split) -> None:
        """Two halves instead of one; a single piece cannot be split."""
        if len(call.pieces) == 1:
            self._suspect(call, Dead(split.code, split.message))
            return
        first, second = call.halves()
        call.shard.record_cut(second.pieces[0])
        mark = self._ledger.promise()
        for half in (second, first):
            half.after_flush = mark
            self._dispatcher.again(half)

    def _suspect(self, call: Call, dead: Dead) -> None:
        """A row's own fault, once any success proves that it is not everybody's."""
        call.attempts += 1
        if self._blame.had_success:
            self._bury(call, dead)
        elif self._blame.suspect(call, dead):
            self._blame.forget()
            self._end(Endings.refused(f"every request fails the same way: {dead.message}"))
        self._dispatcher.wake()

    def _bury(self, call: Call, dead: Dead) -> None:
        for piece in call.pieces:
            self._bury_piece(call, piece, dead.code, dead.message)

    def _bury_piece(self, call: Call, piece: int, code: str, message: str) -> None:
        if call.shard.lost:
            return
        attempts = max(call.attempts, 1) + call.repairs
        row = call.shard.bury(piece, code, redact(message, self._secrets), attempts)
        if row is not None:
            self._witness.buried(call, row, code)
        if self._stop_at_dead:
            self._end(Endings.at_dead_letter())
        if call.shard.finished:
            self._ledger.request()
