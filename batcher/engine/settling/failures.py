"""What a failure does: another try, halves, a dead letter, a pause, or the end of the run.

The decisions are the core's (:mod:`batcher.core.failures.verdicts`,
:mod:`batcher.core.failures.outage`); here they are carried out on the shard, the queue and the
throttle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from batcher.core.failures.outage import Health, Span
from batcher.core.failures.reading import read_error
from batcher.core.failures.verdicts import (
    MAX_ATTEMPTS,
    TRIES_BEFORE_HALVING,
    Backoff,
    Chance,
    Dead,
    Drop,
    PauseJob,
    Refusal,
    Rename,
    SharedPause,
    Split,
    Verdict,
    after_attempts,
    after_refusals,
    backoff_seconds,
    judge,
)
from batcher.core.text.redaction import redact
from batcher.engine.job.endings import Ending, Endings
from batcher.engine.requests.builder import RequestBuilder
from batcher.engine.routes.online.dispatcher import Dispatcher
from batcher.engine.routes.online.pace import Pace, Sent
from batcher.engine.settling.known_good import KnownGood, KnownGoodCall
from batcher.engine.settling.unproven_failures import UnprovenFailures, proof_needed, told
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.telemetry.run_telemetry import RunTelemetry
from batcher.ports import Clock, Reply


class Failures:
    """Carries out what failures mean, for one job."""

    def __init__(
        self,
        *,
        requests: RequestBuilder,
        pace: Pace,
        health: Health,
        checkpoint_writer: CheckpointWriter,
        dispatcher: Dispatcher,
        clock: Clock,
        chance: Chance,
        telemetry: RunTelemetry,
        known_good: KnownGood,
        had_success: bool,
        stop_at_dead: bool,
        secrets: tuple[str, ...],
        end: Callable[[Ending], None],
    ) -> None:
        """``secrets`` are struck from messages; ``end`` stops the run."""
        self._requests = requests
        self._pace = pace
        self._health = health
        self._checkpoint_writer = checkpoint_writer
        self._dispatcher = dispatcher
        self._clock = clock
        self._chance = chance
        self._telemetry = telemetry
        self._known_good = known_good
        self._unproven = UnprovenFailures(had_success=had_success)
        self._stop_at_dead = stop_at_dead
        self._secrets = secrets
        self._end = end

    # --- what is known of the provider --------------------------------------------------------

    @property
    def waiting(self) -> bool:
        """Whether calls are held back because no success proves that the fault is theirs."""
        return bool(self._unproven)

    @property
    def had_success(self) -> bool:
        """Whether any request of the job has succeeded, as far as is known here."""
        return self._unproven.had_success

    def note_answer(self, sent_at: float) -> None:
        """A request that was sent then has a whole answer."""
        self._health.succeeded(self._clock.now(), sent_at)

    def learn_of_success(self) -> None:
        """A request of the job has succeeded, here or in another worker."""
        if not self._unproven.wants_success:
            return
        own, again = self._unproven.succeeded()
        for call, verdict in own:
            self._give_up(call, verdict)
        for call in again:
            self._dispatcher.again(call)

    def give_up_all(self) -> None:
        """Nothing else is left to be tried: what is held back will get no better."""
        refusal = self._unproven.refusal
        if refusal is not None:
            self._end(Endings.refused(refusal.reason))
            return
        for call, verdict in self._unproven.give_up_all():
            self._give_up(call, verdict)

    def grant_last_try(self) -> bool:
        """In a long outage: let calls end that were spent before it, if there are no others."""
        if not self._unproven.grant_last_try(self._dispatcher.waiting()):
            return False
        self._health.failing_since = None
        return True

    async def ask_for_proof(self) -> None:
        """In an outage of the last rows, which have nobody beside them: see whether it is one."""
        if not (self.had_success and self._health.in_outage(self._clock.now())):
            return
        first = None
        for call in self._dispatcher.waiting():
            if call.tries < MAX_ATTEMPTS and not call.others_succeeded:
                return
            first = first or call
        if first is not None:
            await self._known_good.ask(first.shard)

    # --- answers ------------------------------------------------------------------------------

    async def failed(self, sent: Sent, reply: Reply) -> None:
        """Act on an answer that is no success."""
        call = sent.call
        error = read_error(
            reply.status, reply.headers, reply.body, wall=self._clock.wall(), secrets=self._secrets
        )
        had_success = self.had_success
        verdict = judge(
            error,
            pieces=len(call.pieces),
            halved=call.halved,
            optional_parameters=self._requests.optional_parameters - sent.learned.dropped,
            renamed=sent.learned.renamed.keys(),
            accepted=had_success,
            asked=[text for prompt in call.prompts() for text in prompt],
        )
        if had_success and not isinstance(verdict, Backoff | SharedPause):
            self._pace.succeed()
        match verdict:
            case SharedPause():
                await self._pause(sent, verdict, error.message)
            case PauseJob(reason, wait):
                self._dispatcher.again(call)
                self._end(Endings.paused(reason, wait, wall=self._clock.wall()))
            case _ if isinstance(call, KnownGoodCall):
                self._known_good_failed(call, verdict, error.message)
            case Backoff():
                self._pace.object_to(sent)
                self.back_off(call, verdict)
            case Split():
                self.split(call, verdict)
            case Dead():
                self.reject(call, verdict)
            case Refusal():
                await self._refuse(call, verdict)
            case Rename(old, new):
                self._requests.rename(old, new)
                self._dispatcher.again(call)
            case Drop(param):
                self._requests.drop(param)
                self._dispatcher.again(call)

    async def _pause(self, sent: Sent, pause: SharedPause, said: str) -> None:
        """A rate limit: try this one again when all may go on, attempts untouched."""
        self._telemetry.rate_limited(said)
        self._health.rate_limited(self._clock.now(), said)
        wait = await self._pace.pause(sent, pause)
        if wait is not None:
            self._telemetry.paused(sent.call, wait)
        self._dispatcher.again(sent.call)

    def doubt(self, call: Call, pieces: int | None = None, *, costs: bool = True) -> None:
        """The call may have been billed and gives no result (for this many of its pieces)."""
        doubt = self._requests.doubt(call, call.pieces[:pieces])
        call.shard.record_doubt(doubt if costs else replace(doubt, cost_picousd=0))
        call.after_flush = self._checkpoint_writer.promise()

    # --- what may pass ------------------------------------------------------------------------

    def back_off(self, call: Call, failure: Backoff) -> None:
        """A failure that may pass: later, in halves, or never again."""
        now = self._clock.now()
        unreachable = failure.code == "connect"
        self._health.failed(now, told(failure))
        self._telemetry.retried()
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call)
            return
        nothing_yet = self._health.last_success is None and (unreachable or not self.had_success)
        if failure.lasting and nothing_yet and self._lasts(failure):
            self._dispatcher.again(call)
            return
        if self._health.in_outage(now):
            call.tried_at = now
            call.silence += 1
            self._dispatcher.probe_failed()
            if not self._halve_the_last(call, failure):
                self._later(call, failure)
            return
        alone = call.fail(now, self._health)
        if call.failed_before and not unreachable:
            call.others_succeeded = True
        if call.others_succeeded:
            call.shard.record_attempts(call)
        verdict = after_attempts(
            call.tries,
            pieces=len(call.pieces),
            halved=call.halved,
            others_succeed=call.others_succeeded,
            final=failure.final,
            code=failure.code,
            message=failure.message,
        )
        if verdict is None:
            if not self._halve_the_last(call, failure):
                self._later(call, failure)
        elif alone or self._unproven.last_try:
            self._give_up(call, verdict)
        elif not self._unproven.hold_spent(call, verdict):
            self._later(call, failure)
        self._dispatcher.wake()

    def _lasts(self, failure: Backoff) -> bool:
        """Before any success: probe a cause that no waiting mends; returns whether the run ends."""
        if self._health.lasts(alone=self._is_alone()):
            self._end(Endings.refused(failure.lasting))
            return True
        self._dispatcher.probe_failed()
        return False

    def _halve_the_last(self, call: Call, failure: Backoff) -> bool:
        """Where nobody else can prove anything, the halves can: one of them may succeed."""
        if (
            len(call.pieces) == 1
            or failure.code == "connect"
            or call.tries < TRIES_BEFORE_HALVING
            or not self._is_alone()
            or any(other.tries < TRIES_BEFORE_HALVING for other in self._dispatcher.waiting())
        ):
            return False
        self._divide(call)
        return True

    def _later(self, call: Call, failure: Backoff) -> None:
        seconds = backoff_seconds(call.tries, self._chance)
        self._dispatcher.again(call, max(seconds, failure.wait_seconds))

    def _is_alone(self) -> bool:
        """Whether no other call is in flight than the one that is being settled."""
        return self._dispatcher.in_flight <= 1

    # --- refusals -----------------------------------------------------------------------------

    async def _refuse(self, call: Call, refusal: Refusal) -> None:
        """A status that refuses: the call's own if others succeed, and everybody's if none does."""
        call.attempts += 1
        self._telemetry.retried()
        if self._health.proves(call.refused_at):
            self._refuse_among_others(call, refusal)
            self._dispatcher.wake()
            return
        if call.refused_at is None:
            call.refused_at = self._clock.now()
        enough, probes = proof_needed(refusal, had_success=self.had_success)
        everybody = self._health.refused(
            self._clock.now(),
            refusal.likeness,
            Span(call.shard.id, call.pieces[0], call.pieces[-1]),
            enough=enough,
            probes=probes,
            alone=self._is_alone(),
        )
        if await self._asks_known_good(call, refusal):
            self._dispatcher.again(call)
            return
        if everybody:
            self._dispatcher.again(call)
            self._end(Endings.refused(refusal.reason))
            return
        if self._health.doubted:
            self._dispatcher.probe_failed()
        if not self.had_success:
            self._refuse_at_first(call, refusal)
        elif self._health.doubted:
            self._dispatcher.again(call)
        else:
            self._refuse_among_others(call, refusal)
        self._dispatcher.wake()

    async def _asks_known_good(self, call: Call, refusal: Refusal) -> bool:
        """Whether what was answered before goes out once more, and will tell who is refused.

        Not where a key is refused: a cache in between might answer for it.
        """
        if not self.had_success or refusal.unsigned:
            return False
        if not (self._health.doubted and self._is_alone()):
            return False
        return await self._known_good.ask(call.shard)

    def _known_good_failed(self, call: KnownGoodCall, verdict: Verdict, message: str) -> None:
        """What was answered before is not this time; a failure that may pass tells nothing."""
        if isinstance(verdict, Backoff):
            self.back_off(call, verdict)
        elif self._known_good.refused(call):
            reason = verdict.reason if isinstance(verdict, Refusal) else message
            self._end(Endings.refused(reason))

    def _refuse_at_first(self, call: Call, refusal: Refusal) -> None:
        """Nothing has succeeded yet: see what becomes of others, and of parts."""
        if len(call.pieces) > 1:
            self._divide(call, last=True)
        else:
            self._unproven.hold_refused(call, refusal)

    def _refuse_among_others(self, call: Call, refusal: Refusal) -> None:
        verdict = after_refusals(
            call.attempts, pieces=len(call.pieces), halved=call.halved, refusal=refusal
        )
        if verdict is None:
            self._dispatcher.again(call, backoff_seconds(call.attempts, self._chance))
        elif isinstance(verdict, Split):
            self._divide(call)
        elif refusal.unsigned and not self._health.proves(call.refused_at):
            # A key that nobody is served with any more; the last rows are no worse than others.
            self._dispatcher.again(call)
            self._end(Endings.refused(refusal.reason))
        elif not self._health.proves(call.refused_at) and self._health.doubts_unproven(
            refusal.likeness
        ):
            self._dispatcher.again(call)
        else:
            self._bury(call, verdict)

    # --- halves and dead letters --------------------------------------------------------------

    def _give_up(self, call: Call, verdict: Split | Dead) -> None:
        if isinstance(verdict, Split):
            self.split(call, verdict)
        else:
            self._bury(call, verdict)

    def split(self, call: Call, split: Split) -> None:
        """Two halves instead of one; a single piece cannot be split."""
        if len(call.pieces) == 1:
            self.reject(call, Dead(split.code, split.message))
            return
        self._divide(call)

    def _divide(self, call: Call, *, last: bool = False) -> None:
        """Two halves instead of one, before all others or as the ``last``."""
        first, second = call.halves()
        call.shard.record_cut(second.pieces[0])
        mark = self._checkpoint_writer.promise()
        for half in (first, second) if last else (second, first):
            half.after_flush = mark
            self._dispatcher.again(half, last=last)

    def reject(self, call: Call, dead: Dead) -> None:
        """A row's own fault, once any success proves that it is not everybody's."""
        call.attempts += 1
        if self.had_success:
            self._bury(call, dead)
        elif self._unproven.hold_rejected(call, dead):
            self._unproven.forget()
            self._end(Endings.refused(f"every request fails the same way: {dead.message}"))
        self._dispatcher.wake()

    def _bury(self, call: Call, dead: Dead) -> None:
        for piece in call.pieces:
            self.bury_piece(call, piece, dead.code, dead.message)

    def bury_piece(self, call: Call, piece: int, code: str, message: str) -> None:
        """A piece failed for good."""
        if call.shard.lost:
            return
        attempts = max(call.attempts, 1) + call.repairs
        row = call.shard.bury(piece, code, redact(message, self._secrets), attempts)
        if row is not None:
            self._telemetry.buried(call, row, code)
        if self._stop_at_dead:
            self._end(Endings.at_dead_letter())
        if call.shard.finished:
            self._checkpoint_writer.request()
