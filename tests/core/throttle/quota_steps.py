"""Quotas to begin with, and how a pump empties them."""

from __future__ import annotations

from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState

START = 1000.0


def quota(rpm: float | None = None, tpm: float | None = None) -> QuotaState:
    state = QuotaState()
    state.configure(START, rpm=rpm, tpm=tpm)
    return state


def told(rpm: float, remaining: float, now: float = START) -> QuotaState:
    """A quota whose first answer told its limits."""
    state = QuotaState()
    (first,), _ = state.reserve(now, [TokenDemand(1)])
    seen = Observation(sent_at=now, admitted=True, limit_requests=rpm, remaining_requests=remaining)
    state.settle(now, first, seen)
    return state


def drain(state: QuotaState, costs: list[int], now: float = START) -> list[Ticket]:
    """Every ticket, asking again exactly when told to."""
    left = [TokenDemand(c) for c in costs]
    tickets: list[Ticket] = []
    while left:
        granted, later = state.reserve(now, left)
        tickets += granted
        left = left[len(granted) :]
        assert (later is None) == (not left)
        if later is not None:
            assert later > now
            now = later
    return tickets
