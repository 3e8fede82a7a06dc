"""What an answer does that is no success: its verdict, and who carries that out.

The decisions are the core's (:mod:`batcher.core.failures.verdicts`,
:mod:`batcher.core.failures.outage`).
"""

from __future__ import annotations

from batcher.core.failures.own_parameters import judge_own_parameters
from batcher.core.failures.reading import ProviderError, read_error
from batcher.core.failures.verdicts import (
    Backoff,
    Dead,
    Drop,
    PauseJob,
    Refusal,
    Rename,
    SharedPause,
    Split,
    Verdict,
    judge,
)
from batcher.engine.requests.builder import Learning
from batcher.engine.routes.route import Feedback, Sent
from batcher.engine.settling.failing.known_good import KnownGoodCall
from batcher.engine.settling.failing.passing_failures import PassingFailures
from batcher.engine.settling.failing.rate_limits import RateLimits
from batcher.engine.settling.failing.refusals import Refusals
from batcher.engine.settling.failing.verdicts import Verdicts
from batcher.engine.shards.call import Call
from batcher.ports import Clock, Reply

_ENCODING = "encoding_format"
_FAILURES_BEFORE_TRIAL = 2


class FailureReader:
    """What an answer means that is no success, and what it teaches of the provider."""

    def __init__(self, learning: Learning, clock: Clock, secrets: tuple[str, ...]) -> None:
        """``secrets`` are struck from what the provider says."""
        self._learning = learning
        self._clock = clock
        self._secrets = secrets
        self._has_tried = False

    def read(self, sent: Sent, reply: Reply, *, had_success: bool) -> tuple[ProviderError, Verdict]:
        """The error that the answer states, and what is to be done about it."""
        call = sent.call
        error = read_error(
            reply.status, reply.headers, reply.body, wall=self._clock.wall(), secrets=self._secrets
        )
        renamed = sent.learned.renamed.keys()
        if (own := call.parameters) is not None:
            own_fault = judge_own_parameters(
                error, own.keys(), pieces=len(call.pieces), renamed=renamed
            )
            if own_fault is not None:
                return error, own_fault
        verdict = judge(
            error,
            pieces=len(call.pieces),
            halved=call.halved,
            optional_parameters=self._learning.optional_parameters - sent.learned.dropped,
            renamed=renamed,
            accepted=had_success,
            asked=[text for prompt in call.prompts() for text in prompt],
        )
        if error.status == 500 and not had_success and isinstance(verdict, Backoff):
            verdict = self._tried_plainly(sent) or verdict
        return error, verdict

    def _tried_plainly(self, sent: Sent) -> Drop | None:
        """Before any success, have a request that keeps failing sent once with plain vectors.

        Some servers fail at base64 and do not say so. Where that is not it, base64 comes back.
        """
        if _ENCODING in sent.learned.dropped:
            self._learning.restore(_ENCODING)
        elif (
            not self._has_tried
            and _ENCODING in self._learning.optional_parameters
            and sent.call.tries >= _FAILURES_BEFORE_TRIAL
        ):
            self._has_tried = True
            return Drop(_ENCODING)
        return None

    def learn(self, verdict: Rename | Drop) -> None:
        """From now on requests name a parameter as the provider wants it, or leave it out."""
        if isinstance(verdict, Rename):
            self._learning.rename(verdict.old, verdict.new)
        else:
            self._learning.drop(verdict.param)


class Failures:
    """Has the failures of one run acted on."""

    def __init__(
        self,
        reader: FailureReader,
        feedback: Feedback,
        *,
        rate_limits: RateLimits,
        passing: PassingFailures,
        refusals: Refusals,
        verdicts: Verdicts,
    ) -> None:
        self._reader = reader
        self._feedback = feedback
        self._rate_limits = rate_limits
        self._passing = passing
        self._refusals = refusals
        self._verdicts = verdicts

    async def failed(self, sent: Sent, reply: Reply) -> None:
        """Act on an answer that is no success."""
        call = sent.call
        had_success = self._verdicts.had_success
        error, verdict = self._reader.read(sent, reply, had_success=had_success)
        if had_success and not isinstance(verdict, Backoff | SharedPause):
            self._feedback.succeed()
        match verdict:
            case SharedPause():
                await self._rate_limits.pause(sent, verdict, error.message)
            case PauseJob():
                self._rate_limits.stop(sent, verdict)
            case Backoff():
                if not isinstance(call, KnownGoodCall):
                    self._feedback.object_to(sent)
                self._passing.back_off(call, verdict)
            case _ if isinstance(call, KnownGoodCall):
                self._refusals.refuse_known_good(call, verdict, error.message)
            case Split():
                self._verdicts.split(call, verdict)
            case Dead():
                self._verdicts.reject(call, verdict)
            case Refusal():
                await self._refusals.refuse(call, verdict)
            case Rename() | Drop():
                self._reader.learn(verdict)
                self._verdicts.again(call)

    def back_off(self, call: Call, failure: Backoff) -> None:
        """A failure that may pass: later, in halves, or never again."""
        self._passing.back_off(call, failure)

    def split(self, call: Call, split: Split) -> None:
        """Too large: two halves instead of one."""
        self._verdicts.split(call, split)
