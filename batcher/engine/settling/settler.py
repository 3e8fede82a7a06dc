"""What an answer is: good, cut off, an error in a 200, or a failure; and who acts on it.

Synchronous but for the throttle's words and the length of vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batcher.core.errors import KindFailed, RowError, TransportError
from batcher.core.failures.foreign_body import foreign_answer
from batcher.core.failures.reading import status_within
from batcher.core.failures.verdicts import Backoff, Split
from batcher.core.finish_reason import is_whole
from batcher.core.model import Usage
from batcher.engine.requests.idempotency_keys import KEY_REFUSED
from batcher.engine.routes.route import Sent
from batcher.engine.settling.accounts import Accounts
from batcher.engine.settling.arrivals import Arrivals
from batcher.engine.settling.failing.failures import Failures
from batcher.engine.settling.failing.known_good import KnownGood, KnownGoodCall
from batcher.engine.settling.outcomes import Outcomes
from batcher.engine.settling.reading import AnswerReader
from batcher.engine.shards.call import Call
from batcher.ports import Reply


class Settler:
    """Carries out what answers mean, for one job."""

    def __init__(
        self,
        reader: AnswerReader,
        arrivals: Arrivals,
        accounts: Accounts,
        *,
        outcomes: Outcomes,
        failures: Failures,
        known_good: KnownGood,
    ) -> None:
        self._reader = reader
        self._arrivals = arrivals
        self._accounts = accounts
        self._outcomes = outcomes
        self._failures = failures
        self._known_good = known_good

    async def answered(self, sent: Sent, reply: Reply) -> None:
        """Act on a whole answer.

        Raises:
            KindFailed: the kind cannot read it.
        """
        if sent.call.shard.lost:
            await self._arrivals.arrived(sent, reply, Usage())
        elif 200 <= reply.status < 300:
            answer = self._reader.answer(reply)
            if answer is None:
                await self._garbled(sent, reply)
            elif (status := status_within(answer)) is not None:
                await self._failed_within(sent, reply._replace(status=status), answer)
            else:  # a body of megabytes is not needed beside what was read of it
                reply = Reply(reply.status, reply.headers, b"")
                await self._succeeded(sent, reply, answer)
        else:
            await self._failed(sent, reply)

    async def lost(self, sent: Sent, error: TransportError) -> None:
        """Act on a request that got no whole answer."""
        call = sent.call
        self._arrivals.lost(sent, error)
        if call.shard.lost:
            return
        self._accounts.unpaid(call)
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call, maybe_billed=error.maybe_billed)
            return
        if error.maybe_billed:
            self._accounts.leave(call)
        if error.final:
            self._failures.split(call, Split(error.code, str(error)))
            return
        self._arrivals.object_to(sent)
        message = self._reader.clean(str(error))
        self._failures.back_off(call, Backoff(error.code, message, lasting=error.lasting))

    def unsendable(self, call: Call, failed: Mapping[int, RowError]) -> None:
        """Nothing was sent of the call, since some of its pieces cannot be: they end so."""
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call)
        elif not call.shard.lost:
            self._outcomes.unsendable(call, failed)

    def leave(self, call: Call) -> None:
        """The call was sent, and no answer will be waited for; a later one may prove its cost."""
        if not isinstance(call, KnownGoodCall):  # that was recorded before it was sent
            self._accounts.leave(call)

    async def _succeeded(self, sent: Sent, reply: Reply, answer: Mapping[str, Any]) -> None:
        call = sent.call
        usage = self._reader.usage(answer, call)
        await self._arrivals.arrived(sent, reply, usage, tells_tokens=True)
        if isinstance(call, KnownGoodCall):
            self._known_good.answered(call, usage, reply, sent.at)
            return
        self._accounts.paid(call, usage, answer)
        self._accounts.answered(call, reply, usage)
        try:
            outcomes = self._reader.outcomes(answer, call)
        except KindFailed:
            self._accounts.doubt(call, costs=False)
            raise
        whole = not call.shard.keeps_answers or is_whole(answer)
        await self._outcomes.take(call, outcomes, sent.at, is_whole=whole)

    async def _failed(self, sent: Sent, reply: Reply) -> None:
        """An answer whose status is no success."""
        call = sent.call
        self._accounts.unpaid(call)
        await self._arrivals.arrived(sent, reply)
        if self._accounts.is_key_refused(call, reply):
            refused = Backoff(KEY_REFUSED, "the idempotency key was refused")
            self._failures.back_off(call, refused)
        else:
            await self._failures.failed(sent, reply)

    async def _failed_within(self, sent: Sent, reply: Reply, answer: Mapping[str, Any]) -> None:
        """A 200 with an error in place of a result: ``reply`` has the status that it stands for."""
        call = sent.call
        if isinstance(answer.get("usage"), dict):
            usage = self._reader.usage(answer, call)
            self._accounts.paid(call, usage, answer)
        else:
            usage = Usage(requests=1)
            self._accounts.unpaid(call)
        self._accounts.answered(call, reply, usage)
        await self._arrivals.arrived(sent, reply)
        await self._failures.failed(sent, reply)

    async def _garbled(self, sent: Sent, reply: Reply) -> None:
        """A 200 that holds no JSON object: cut off on its way, or not the API's."""
        call = sent.call
        await self._arrivals.arrived(sent, reply)
        self._accounts.unpaid(call)
        self._accounts.answered(call, reply, Usage())
        if isinstance(call, KnownGoodCall):
            self._known_good.drop(call, maybe_billed=True)
            return
        self._accounts.doubt(call)
        lasting = foreign_answer(
            reply.headers.get("content-type", ""),
            reply.body,
            content_encoding=reply.headers.get("content-encoding", ""),
        )
        message = lasting.partition(":")[0]
        self._failures.back_off(call, Backoff("garbled_answer", message, lasting=lasting))
