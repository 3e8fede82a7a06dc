"""A request that is known to be good, sent once more to tell a refused row from a refused key.

Where many rows in a row are refused, nothing tells whether the rows are at fault or everybody is
refused: in files, like stands by like. Something that was answered before tells. It costs what it
cost before, and its answer is thrown away; so it goes out only when so many were refused alike that
the run would have to stop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from batcher.core.errors import DamagedStore
from batcher.core.failures.outage import PROBES
from batcher.core.job.idempotency import is_from_cache, is_replay
from batcher.core.model import Doubt, Prompt, Usage
from batcher.core.row.asked import TEXTS_ALONE, Asked, OwnRequest
from batcher.core.row.attachments import KeptAttachment
from batcher.core.row.parameters import RowParameters
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.settling.accounts import Accounts
from batcher.engine.settling.failing.provider_state import ProviderState
from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.engine.shards.payload import decode_asked, decode_plan
from batcher.ports import Reply, ResultStore


class KnownRequest(NamedTuple):
    """What was answered before: one piece's part of a request, with its planned tokens."""

    prompt: Prompt
    tokens: int
    own: OwnRequest = TEXTS_ALONE


class KnownGoodCall(Call):
    """A row's prompt that was answered before; ``shard`` is one at hand, where it is paid for.

    It is in no worklist: before it is sent it is recorded as billed without a result, as it will
    be. What it may cost is taken off that when it is known.
    """

    __slots__ = ("expected", "known")

    def __init__(self, shard: LeasedShard, known: KnownRequest, number: int) -> None:
        """``number`` is how many there were before, in this run: each has a key of its own."""
        super().__init__(shard, (0,), -1)
        self.known = known
        self.tokens = shard.fixed_tokens + known.tokens
        self.expected = Doubt()
        self.reopened = -shard.fence
        self.anew = number

    def prompts(self) -> list[Prompt]:
        """See :meth:`Call.prompts`."""
        return [self.known.prompt]

    @property
    def parameters(self) -> RowParameters | None:
        """See :attr:`Call.parameters`."""
        return self.known.own.parameters

    def attachments(self) -> list[tuple[KeptAttachment, ...]]:
        """See :meth:`Call.attachments`."""
        return [self.known.own.attachments]


async def find_answered(store: ResultStore, job_id: str) -> KnownRequest | None:
    """A piece of the job that has its result; None where none can be read."""
    try:
        async for outline in store.outlines(job_id):
            if outline.done:
                plan = decode_plan(outline.outline)
                piece = min(outline.done, key=lambda piece: plan.tokens[piece])
                kept = await store.prompts(job_id, outline.ordinal)
                asked = decode_asked(outline.outline, kept)
                return known_request(asked, plan.tokens, piece)
    except DamagedStore:
        pass  # whoever reads the results will say so
    return None


def known_request(asked: Asked, tokens: Sequence[int], piece: int) -> KnownRequest:
    """What a piece asks for; ``tokens`` are those of all pieces of its shard."""
    return KnownRequest(asked.prompts[piece], tokens[piece], asked.own_of(piece))


class KnownGood:
    """The shortest prompt that was answered, and whether it is being asked once more."""

    def __init__(
        self,
        state: ProviderState,
        queue: CallQueue,
        accounts: Accounts,
        run_budget: RunBudget,
        *,
        find: Callable[[], Awaitable[KnownRequest | None]],
    ) -> None:
        """``find`` looks for what an earlier run had answered."""
        self._state = state
        self._queue = queue
        self._accounts = accounts
        self._run_budget = run_budget
        self._find: Callable[[], Awaitable[KnownRequest | None]] | None = find
        self._known: KnownRequest | None = None
        self._asked: KnownGoodCall | None = None
        self._number = 0
        self._refused = 0
        self._useless = False

    def remember(self, call: Call, piece: int) -> None:
        """A piece of the call has its result; the shortest is kept, since it costs the least."""
        tokens = call.shard.plan.tokens
        if self._known is None or tokens[piece] < self._known.tokens:
            self._known = known_request(call.shard.asked, tokens, piece)

    async def ask(self, shard: LeasedShard) -> bool:
        """Have it sent before all others; False where that cannot be, or would tell nothing."""
        if self._asked is not None and not self._asked.shard.lost:
            return True
        if self._known is None and self._find is not None:
            find, self._find = self._find, None
            self._known = await find()
        if self._known is None or self._useless or shard.lost:
            return False
        call = KnownGoodCall(shard, self._known, self._number)
        if not self._run_budget.affords(call):
            return False
        self._number += 1
        self._asked = call
        call.expected = self._accounts.expect(call)
        self._queue.before_all(call)
        return True

    def answered(self, call: KnownGoodCall, usage: Usage, reply: Reply, sent_at: float) -> None:
        """It was answered once more: whoever was refused before that is refused for itself.

        One that was kept by a cache proves nothing of the provider behind it.
        """
        call.shard.record_usage(usage)
        call.shard.record_doubt(Doubt(cost_picousd=-call.expected.cost_picousd))
        self._asked = None
        self._refused = 0
        if is_replay(reply.headers) or is_from_cache(reply.headers):
            self._useless = True
        else:
            self._state.vouched(sent_at)
        self._queue.wake()

    def refused(self, call: KnownGoodCall) -> bool:
        """It was refused this time; returns whether that is enough to believe that all are."""
        self._refused += 1
        if self._refused >= PROBES:
            self.drop(call)
            return True
        self._state.probe_failed()
        self._queue.before_all(call)
        return False

    def drop(self, call: KnownGoodCall, *, maybe_billed: bool = False) -> None:
        """It failed in a way that tells nothing of who is refused."""
        if not maybe_billed:
            was = call.expected
            call.shard.record_doubt(
                Doubt(
                    requests=-was.requests,
                    pieces=-was.pieces,
                    tokens=-was.tokens,
                    cost_picousd=-was.cost_picousd,
                )
            )
        self._asked = None
        self._state.probe_failed()
        self._queue.wake()
