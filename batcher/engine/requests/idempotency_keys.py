"""The idempotency keys of one run: which key each call has, and what a kept answer proves.

Every attempt of a call bears the same key, also after a crash and in another worker: it is made of
the plan. A call gets another one only where the same answer must not come again: where one came
that could not be used, where a kept failure was served once more, where the server refuses the key,
and where a piece was reopened by a retry. So no bad answer that a gateway keeps comes for ever.

What was sent and not answered may have been billed, and is recorded as a doubt. An answer that says
that it was kept proves that all attempts under its key were billed once: its usage counts, and the
doubts of the attempts before are taken off.
"""

from __future__ import annotations

from batcher.core.job.idempotency import KeyMaker, is_about_keys, is_replay
from batcher.core.model import Doubt, Learned, Usage
from batcher.engine.shards.call import Call
from batcher.ports import Reply

KEY_REFUSED = "idempotency_key_refused"
"""The code of a failure that is the key's and not the request's."""
_CONFLICTS = 3
"""So often an attempt before may still be in progress; then its answer will never come."""


class IdempotencyKeys:
    """The keys of one job's calls."""

    def __init__(self, maker: KeyMaker | None) -> None:
        """``maker`` is None where no keys are sent: then no answer can be a kept one."""
        self._maker = maker

    def of(self, call: Call, learned: Learned) -> str:
        """The call's key; empty where none is sent."""
        if self._maker is None:
            return ""
        variant = ""
        if learned.renamed or learned.dropped:
            variant = f"{sorted(learned.renamed.items())} {sorted(learned.dropped)}"
        return self._maker.make(
            call.shard.ordinal,
            call.pieces,
            reopened=call.reopened,
            anew=call.anew,
            repairs=call.repairs,
            variant=variant,
        )

    def doubt(self, call: Call, doubt: Doubt) -> None:
        """The call was sent, and no answer came."""
        if self._maker is not None:
            call.keep_in_doubt(call.in_doubt + doubt)

    def answered(self, call: Call, reply: Reply, usage: Usage) -> None:
        """A success came, of so much usage: its key has served; what is asked now is asked anew."""
        if self._maker is None:
            return
        if is_replay(reply.headers):
            self._prove(call, usage)
        self._renew(call)

    def _prove(self, call: Call, usage: Usage) -> None:
        """A kept answer came: whatever was sent of the call under its key was billed once."""
        was = call.in_doubt
        call.shard.record_doubt(
            Doubt(
                requests=-was.requests,
                pieces=-was.pieces,
                tokens=-was.tokens,
                cost_picousd=-was.cost_picousd,
                kept_requests=1,
                kept_pieces=len(call.pieces),
                kept_tokens=usage.prompt_tokens + usage.completion_tokens,
            )
        )

    def _renew(self, call: Call) -> None:
        call.anew += 1
        call.conflicts = 0
        call.failure_id = ""
        if call.in_doubt.requests:
            call.keep_in_doubt(Doubt())

    def failed(self, call: Call, reply: Reply) -> bool:
        """An answer came that is no success; returns whether it is the key that is refused.

        A failure of the same id as the one before is that one once more, whether it says so or not.
        """
        if self._maker is None:
            return False
        known, call.failure_id = call.failure_id, reply.headers.get("x-request-id", "")
        if is_about_keys(reply.status, reply.body):
            call.conflicts += 1
            if reply.status != 409 or call.conflicts >= _CONFLICTS:
                self._renew(call)
            return True
        if is_replay(reply.headers) or (known and known == call.failure_id):
            self._renew(call)
        return False
