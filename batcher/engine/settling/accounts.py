"""What requests cost, written to the shards that they were sent for: known, or in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from batcher.core.model import Doubt, Usage
from batcher.engine.requests.demand import WorstCase
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.settling.reading import make_bill
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.ports import Reply

_ONE_REQUEST = Usage(requests=1)


class Accounts:
    """The costs of one run's requests."""

    def __init__(
        self,
        worst_case: WorstCase,
        keys: IdempotencyKeys,
        checkpoint_writer: CheckpointWriter,
        *,
        keeps_bills: bool,
        priced: bool,
    ) -> None:
        """``keeps_bills``: the job's records are to say what each cost, if that is known.

        ``priced``: it is known.
        """
        self._worst_case = worst_case
        self._keys = keys
        self._checkpoint_writer = checkpoint_writer
        self._keeps_bills = keeps_bills
        self._priced = priced

    def paid(self, call: Call, usage: Usage, answer: Mapping[str, Any]) -> None:
        """The answer cost so much, whatever it holds."""
        call.shard.record_usage(usage)
        if self._keeps_bills:
            call.shard.record_bill(make_bill(answer, call, usage, priced=self._priced))

    def unpaid(self, call: Call) -> None:
        """A request was sent, and what came of it says no cost."""
        call.shard.record_usage(_ONE_REQUEST)

    def answered(self, call: Call, reply: Reply, usage: Usage) -> None:
        """An answer of so much usage has used the call's idempotency key up."""
        self._keys.answered(call, reply, usage)

    def is_key_refused(self, call: Call, reply: Reply) -> bool:
        """An answer came that is no success; whether it is the idempotency key that is refused."""
        return self._keys.failed(call, reply)

    # --- what may have been billed ------------------------------------------------------------

    def doubt(self, call: Call, *, costs: bool = True) -> None:
        """The call may have been billed and gives no result; where not ``costs``, its bill came.

        It is not sent again before that is written down.
        """
        doubt = self._worst_case.doubt(call)
        call.shard.record_doubt(doubt if costs else replace(doubt, cost_picousd=0))
        self.hold_until_written(call)

    def leave(self, call: Call) -> None:
        """The call was sent, and no answer will be waited for; a later one may prove its cost."""
        self.doubt(call)
        self._keys.doubt(call, self._worst_case.doubt(call))

    def expect(self, call: Call) -> Doubt:
        """The call is about to be sent outside of any worklist: its cost is in doubt beforehand."""
        doubt = self._worst_case.doubt(call)
        call.shard.record_doubt(doubt)
        self.hold_until_written(call)
        return doubt

    def hold_until_written(self, call: Call) -> None:
        """The call is not sent again before all that is recorded by now is written down."""
        call.after_flush = self._checkpoint_writer.promise()
