"""The send times that one run has of the throttle: asked for in batches, given back unused.

Each belongs to the call in its place among those that the queue has set aside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.sharing import Flow
from batcher.engine.routes.call_queue import EARLY_SECONDS
from batcher.engine.shards.call import Call
from batcher.ports import Throttle


class SendTimes:
    """Reservations of one flow on one quota.

    ``waits`` counts the send times that lay ahead when they were given, ``wait_seconds`` how far.
    ``booked`` are those of the calls set aside, in their order; ``ask_at`` is when the throttle may
    be asked again.
    """

    def __init__(
        self, throttle: Throttle, quota: str, flow: Flow, charge: Callable[[Call], TokenDemand]
    ) -> None:
        """``flow`` is who asks; ``charge`` says what a call takes from the limit."""
        self._throttle = throttle
        self._quota = quota
        self._flow = flow
        self._charge = charge
        self.booked: deque[Ticket] = deque()
        self.ask_at = 0.0
        self.waits = 0
        self.wait_seconds = 0.0

    async def reserve(self, calls: Sequence[Call], now: float) -> Sequence[Ticket]:
        """A send time for each of the first calls; fewer where the limit has no room for more."""
        costs = [self._charge(call) for call in calls]
        grant = await self._throttle.reserve(self._quota, costs, self._flow)
        self.ask_at = grant.come_back_at or 0.0
        waits = [wait for t in grant.tickets if (wait := t.send_at - now) > EARLY_SECONDS]
        self.waits += len(waits)
        self.wait_seconds += sum(waits)
        return grant.tickets

    async def give_back(self, tickets: Sequence[Ticket]) -> None:
        """These will not be used."""
        if tickets:
            await self._throttle.give_back(self._quota, tickets)

    async def give_back_all(self) -> None:
        """The calls set aside are ready again; ask for new times at once."""
        tickets = list(self.booked)
        self.booked.clear()
        await self.give_back(tickets)
        self.ask_at = 0.0

    def is_void(self, ticket: Ticket) -> bool:
        """Whether a pause has come since it was given."""
        return self._throttle.is_void(self._quota, ticket)
