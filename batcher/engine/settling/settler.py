"""What an answer does: results, dead letters, repairs; what a failure does is next door.

Synchronous but for the throttle's words and the length of vectors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from batcher.core.errors import KindFailed, TransportError
from batcher.core.failures.foreign_body import foreign_answer
from batcher.core.failures.reading import status_within
from batcher.core.failures.unusable import UnusableAnswers
from batcher.core.failures.verdicts import MAX_ATTEMPTS, MAX_REPAIRS, Backoff, Dead, Split
from batcher.core.kind import BoundKind, Broken, Invalid, Shape, shape_of
from batcher.core.model import Learned, Usage
from batcher.core.text.redaction import redact
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.requests.builder import RequestBuilder
from batcher.engine.requests.idempotency_keys import KEY_REFUSED
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.pace import Pace, Sent
from batcher.engine.settling.failures import Failures
from batcher.engine.settling.known_good import KnownGood, KnownGoodCall
from batcher.engine.settling.reading import (
    KeptOutcome,
    all_invalid,
    make_bill,
    none_usable,
    read_answer,
    read_outcomes,
    read_usage,
)
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.telemetry.run_telemetry import RunTelemetry
from batcher.ports import Reply


class Settler:
    """Carries out what answers mean, for one job."""

    def __init__(
        self,
        *,
        bound: BoundKind,
        requests: RequestBuilder,
        pace: Pace,
        checkpoint_writer: CheckpointWriter,
        dispatcher: Dispatcher,
        telemetry: RunTelemetry,
        failures: Failures,
        known_good: KnownGood,
        secrets: tuple[str, ...],
        learn: Callable[[Learned], Awaitable[None]],
        end: Callable[[Ending], None],
    ) -> None:
        """``learn`` writes down what was learned; ``secrets`` are struck from messages.

        ``end`` stops the run.
        """
        self._bound = bound
        self._has_vectors = shape_of(bound.fields) is not Shape.JSON
        self._requests = requests
        self._pace = pace
        self._checkpoint_writer = checkpoint_writer
        self._dispatcher = dispatcher
        self._telemetry = telemetry
        self._failures = failures
        self._known_good = known_good
        self._unusable = UnusableAnswers(had_result=failures.had_success)
        self._held: list[tuple[Call, Invalid]] = []
        self._secrets = secrets
        self._end = end
        self._vectors = VectorLength(
            shape=shape_of(bound.fields),
            requests=requests,
            checkpoint_writer=checkpoint_writer,
            learn=learn,
            ask_again=self._ask_again,
        )

    # --- answers ------------------------------------------------------------------------------

    async def answered(self, sent: Sent, reply: Reply) -> None:
        """Act on a whole answer.

        Raises:
            KindFailed: the kind cannot read it.
        """
        call = sent.call
        if call.shard.lost:
            self._telemetry.answered(call, sent.at, reply, Usage())
            await self._pace.observe(sent, reply, None)
            return
        if 200 <= reply.status < 300:
            answer = read_answer(reply)
            if answer is None:
                await self._garbled(sent, reply)
            elif (status := status_within(answer)) is not None:
                await self._failed_within(sent, reply._replace(status=status), answer)
            else:  # a body of megabytes is not needed beside what was read of it
                reply = Reply(reply.status, reply.headers, b"")
                await self._succeeded(sent, reply, answer)
        else:
            self._telemetry.answered(call, sent.at, reply)
            call.shard.record_usage(Usage(requests=1))
            await self._pace.observe(sent, reply, None)
            if self._requests.keys.failed(call, reply):
                refused = Backoff(KEY_REFUSED, "the idempotency key was refused")
                self._failures.back_off(call, refused)
            else:
                await self._failures.failed(sent, reply)

    async def lost(self, sent: Sent, error: TransportError) -> None:
        """Act on a request that got no whole answer."""
        call = sent.call
        self._telemetry.lost(call, sent.at, error)
        if call.shard.lost:
            return
        call.shard.record_usage(Usage(requests=1))
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call, maybe_billed=error.maybe_billed)
            return
        if error.maybe_billed:
            self.leave(call)
        if error.final:
            self._failures.split(call, Split(error.code, str(error)))
            return
        self._pace.object_to(sent)
        message = redact(str(error), self._secrets)
        self._failures.back_off(call, Backoff(error.code, message, lasting=error.lasting))

    def doubt(self, call: Call) -> None:
        """The call may have been billed and gives no result."""
        self._failures.doubt(call)

    def leave(self, call: Call) -> None:
        """The call was sent, and no answer will be waited for; a later one may prove its cost."""
        if isinstance(call, KnownGoodCall):
            return  # recorded before it was sent
        self.doubt(call)
        self._requests.keys.doubt(call, self._requests.doubt(call, call.pieces))

    def take(self, shard: LeasedShard) -> None:
        """A shard was claimed, with what earlier leases left in it."""
        if self._has_vectors:
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
        return bool(self._held) or self._failures.waiting

    def give_up_all(self) -> None:
        """Nothing else is left to be tried: what is held back will get no better."""
        self._bury_held()
        self._failures.give_up_all()

    # --- success ------------------------------------------------------------------------------

    async def _succeeded(self, sent: Sent, reply: Reply, answer: Mapping[str, Any]) -> None:
        call = sent.call
        usage = read_usage(answer, call, self._requests)
        self._telemetry.answered(call, sent.at, reply, usage)
        await self._pace.observe(sent, reply, usage.prompt_tokens + usage.completion_tokens)
        if isinstance(call, KnownGoodCall):
            self._known_good.answered(call, usage, reply, sent.at)
            return
        self._pay(call, usage, answer)
        self._requests.keys.answered(call, reply, usage)
        try:
            outcomes = read_outcomes(
                self._bound, answer, call, kind=self._requests.kind, secrets=self._secrets
            )
        except KindFailed:
            self._failures.doubt(call, costs=False)
            raise
        if self._has_vectors:
            outcomes = await self._vectors.check(call, outcomes)
        self._settle(call, outcomes, sent.at)

    def _pay(self, call: Call, usage: Usage, answer: Mapping[str, Any]) -> None:
        """The answer cost so much, whatever it holds."""
        call.shard.record_usage(usage)
        if call.shard.keeps_bills:
            call.shard.record_bill(make_bill(answer, call, usage, priced=self._requests.priced))

    async def _garbled(self, sent: Sent, reply: Reply) -> None:
        """A 200 that holds no JSON object: cut off on its way, or not the API's."""
        call = sent.call
        self._telemetry.answered(call, sent.at, reply)
        await self._pace.observe(sent, reply, None)
        call.shard.record_usage(Usage(requests=1))
        self._requests.keys.answered(call, reply, Usage())
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call, maybe_billed=True)
            return
        self.doubt(call)
        lasting = foreign_answer(
            reply.headers.get("content-type", ""),
            reply.body,
            content_encoding=reply.headers.get("content-encoding", ""),
        )
        message = lasting.partition(":")[0]
        self._failures.back_off(call, Backoff("garbled_answer", message, lasting=lasting))

    async def _failed_within(self, sent: Sent, reply: Reply, answer: Mapping[str, Any]) -> None:
        """A 200 with an error in place of a result: ``reply`` has the status that it stands for."""
        call = sent.call
        self._telemetry.answered(call, sent.at, reply)
        priced = isinstance(answer.get("usage"), dict)
        usage = read_usage(answer, call, self._requests) if priced else Usage(requests=1)
        if priced:
            self._pay(call, usage, answer)
        else:
            call.shard.record_usage(usage)
        self._requests.keys.answered(call, reply, usage)
        await self._pace.observe(sent, reply, None)
        await self._failures.failed(sent, reply)

    def _settle(self, call: Call, outcomes: list[KeptOutcome], sent_at: float) -> None:
        shard = call.shard
        broken: list[int] = []
        first_broken: Broken | None = None
        size = shard.pending_bytes
        done_piece: int | None = None
        refused = common = False
        invalid: list[tuple[Call, Invalid]] = []
        for piece, outcome in zip(call.pieces, outcomes, strict=True):
            if isinstance(outcome, bytes):
                shard.settle(piece, outcome)
                done_piece = piece
            elif isinstance(outcome, Broken):
                broken.append(piece)
                first_broken = first_broken or outcome
            elif isinstance(outcome, Invalid):
                invalid.append((call.of_piece(piece), outcome))
            elif outcome.common:
                common = True
                self._failures.reject(call.of_piece(piece), Dead(outcome.code, outcome.message))
            else:
                refused = True
                self._failures.bury_piece(call, piece, outcome.code, outcome.message)
        self._checkpoint_writer.note_result(shard.pending_bytes - size)
        if done_piece is not None:
            self._known_good.remember(call, done_piece)
            self._note_result()
        opens = refused or done_piece is not None
        if opens or invalid or common:
            self._note_answer(sent_at, opens=opens, proves=not common)
        if invalid:
            self._repair(invalid)
        if first_broken is not None:
            part = call if len(broken) == len(call.pieces) else call.part(tuple(broken))
            self._broken(part, first_broken)
        if shard.finished:
            self._checkpoint_writer.request()

    def _note_result(self) -> None:
        """A result came: what was invalid before it was its rows' own fault."""
        self._unusable.result()
        self._bury_held()

    def _bury_held(self) -> None:
        held, self._held = self._held, []
        for call, invalid in held:
            self._failures.bury_piece(call, call.pieces[0], invalid.code, invalid.message)

    def _note_answer(self, sent_at: float, *, opens: bool, proves: bool) -> None:
        """The provider is there: it gave a whole answer.

        Args:
            sent_at: when the request left.
            opens: whether more requests may go at once. Until a first result they do not for
                answers without one, of which a few may be enough to stop.
            proves: whether such an answer shows that the requests are right as they are.
        """
        if opens or self._unusable.had_result:
            self._pace.succeed()
        self._pace.resume()
        self._failures.note_answer(sent_at)
        if proves:
            self._failures.learn_of_success()

    def _repair(self, calls: list[tuple[Call, Invalid]]) -> None:
        """Have each piece of an answer that breaks its schema asked for again, alone."""
        if self._unusable.invalid():
            for call, _ in calls:
                self._dispatcher.again(call)
            self._end(Endings.refused(all_invalid(calls[-1][1], self._secrets)))
            return
        for call, invalid in calls:
            if call.repairs < MAX_REPAIRS:
                call.repairs += 1
                call.repair = invalid
                call.after_flush = self._checkpoint_writer.promise()
                self._dispatcher.again(call)
            elif self._unusable.had_result:
                self._failures.bury_piece(call, call.pieces[0], invalid.code, invalid.message)
            else:
                self._held.append((call, invalid))

    def _broken(self, call: Call, broken: Broken) -> None:
        """What was paid for holds nothing usable for these pieces: again, unless all will be so."""
        self._failures.doubt(call, costs=False)
        if self._unusable.broken((call.shard.id, call.pieces[0]), whole=broken.whole):
            self._dispatcher.again(call)
            self._end(Endings.refused(none_usable(broken.message)))
        else:
            if call.tries >= MAX_ATTEMPTS - 1:
                call.others_succeeded = True  # it was answered each time: that is no outage
            self._failures.back_off(call, Backoff(broken.code, broken.message))

    def _ask_again(self, call: Call) -> None:
        """What came for the call was no result after all.

        A call that is in no worklist could be billed in a crash without anybody knowing of it, so
        that is said beforehand.
        """
        self._failures.doubt(call, costs=False)
        if call.unit_index < 0:
            self.doubt(call)
        self._failures.back_off(
            call,
            Backoff("wrong_dimension", "the vector does not have as many dimensions as the others"),
        )
