"""The shared limit: reservations in the future, and a pause that stops everyone once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from batcher.core.throttle.bucket import Limits, Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import ANYBODY, Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The answer to a reservation: send times for the first of the costs asked for.

    ``tickets`` has one ticket for each cost granted, in order (their ``send_at`` never decreases).
    Where it is shorter than the costs asked for, the rest lies beyond the horizon or belongs to
    other flows: ask again at ``come_back_at`` and not before.
    """

    tickets: tuple[Ticket, ...]
    come_back_at: float | None = None


class Throttle(Protocol):
    """One shared limit of requests and tokens, per quota, with a pause that stops everyone once.

    Times are on the process's monotonic clock (:meth:`Clock.now`).
    """

    async def check(self, quota: str) -> None:
        """Look whether it can be used, before a run waits for it.

        Raises:
            batcher.core.errors.UsageError: it cannot.
        """
        ...

    def ceiling(
        self, quota: str, *, rpm: float | None, tpm: float | None
    ) -> AbstractContextManager[None]:
        """Keep a quota to the user's ceilings for a while, requests and tokens a minute.

        Of several at a time the lowest holds; None is no ceiling. In other processes a ceiling
        holds for up to a minute longer.
        """
        ...

    async def reserve(
        self, quota: str, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> Grant:
        """Reserve in one atomic step; nothing is sent without a ticket.

        Within a flow, what is asked for first is sent first. Flows that ask at the same time get
        parts of the limit by their weights, whatever the size of their costs; what one does not
        take goes to the others, and one that asks no more counts no longer after about two seconds.
        During a pause no ticket is granted and ``come_back_at`` is the pause's end.
        """
        ...

    async def give_back(self, quota: str, tickets: Sequence[Ticket]) -> None:
        """Return tickets that will not be sent; their cost is free for others again."""
        ...

    async def settle(self, quota: str, ticket: Ticket, observation: Observation) -> None:
        """Tell what an answer taught: limits and remaining budget in its headers, its real usage.

        An answer that was not admitted (429) is settled too, with ``admitted=False``. It counts
        for whatever is asked afterwards, and :meth:`limits` knows of it then.
        """
        ...

    async def pause(
        self, quota: str, ticket: Ticket, *, until: float, slowly: bool = False
    ) -> bool:
        """A 429 came for this ticket: stop everyone until ``until``, once per epoch.

        Returns whether this call opened a new epoch (rates lowered once, older tickets void); a
        429 to a ticket of an earlier epoch only lengthens the pause and returns False. At the end
        of the pause the buckets are empty. ``slowly`` (a provider's ``slow_down``) lets the rates
        recover by 50% in 15 minutes, not by the usual share a second.
        """
        ...

    def is_void(self, quota: str, ticket: Ticket) -> bool:
        """Whether a pause has voided the ticket: do not send it, reserve again. No I/O."""
        ...

    def limits(self, quota: str) -> Limits:
        """The limits in force now and the share of them in use. Memory only."""
        ...
