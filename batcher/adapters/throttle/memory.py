"""The throttle of one process: :class:`batcher.core.throttle.quota.QuotaState` behind the port.

It adds nothing to the arithmetic but the clock: no lock, since no verb awaits.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from batcher.adapters.throttle.ceilings import Ceilings
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import ANYBODY, Flow
from batcher.ports import Clock, Grant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batcher.core.throttle.bucket import Limits, Ticket, TokenDemand
    from batcher.core.throttle.observation import Observation


class MemoryThrottle:
    """Limits shared by the jobs of one process (:class:`batcher.ports.Throttle`)."""

    def __init__(
        self,
        clock: Clock,
        ceilings: Mapping[str, tuple[float | None, float | None]] | None = None,
    ) -> None:
        """``ceilings`` are the user's (requests, tokens) a minute by quota; None is no ceiling."""
        self._clock = clock
        self._quotas: dict[str, QuotaState] = {}
        self._ceilings = Ceilings()
        for quota, (rpm, tpm) in (ceilings or {}).items():
            self._ceilings.add(quota, rpm, tpm)
            self._heed(quota)

    def __repr__(self) -> str:
        """The limits in force, by quota."""
        now = self._clock.now()
        quotas = ", ".join(
            f"{name}: {_figure(limits.requests_per_minute)} rpm,"
            f" {_figure(limits.tokens_per_minute)} tpm"
            for name, limits in ((n, state.limits(now)) for n, state in self._quotas.items())
        )
        return f"<MemoryThrottle {quotas or 'no quotas'}>"

    @contextmanager
    def ceiling(self, quota: str, *, rpm: float | None, tpm: float | None) -> Iterator[None]:
        """See :meth:`batcher.ports.Throttle.ceiling`."""
        self._ceilings.add(quota, rpm, tpm)
        self._heed(quota)
        try:
            yield
        finally:
            self._ceilings.remove(quota, rpm, tpm)
            self._heed(quota)

    async def check(self, quota: str) -> None:
        """See :meth:`batcher.ports.Throttle.check`: it always can."""

    async def reserve(
        self, quota: str, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> Grant:
        """See :meth:`batcher.ports.Throttle.reserve`."""
        tickets, come_back_at = self._state(quota).reserve(self._clock.now(), costs, flow)
        return Grant(tickets=tuple(tickets), come_back_at=come_back_at)

    async def give_back(self, quota: str, tickets: Sequence[Ticket]) -> None:
        """See :meth:`batcher.ports.Throttle.give_back`."""
        self._state(quota).give_back(self._clock.now(), tickets)

    async def settle(self, quota: str, ticket: Ticket, observation: Observation) -> None:
        """See :meth:`batcher.ports.Throttle.settle`."""
        self._state(quota).settle(self._clock.now(), ticket, observation)

    async def pause(
        self, quota: str, ticket: Ticket, *, until: float, slowly: bool = False
    ) -> bool:
        """See :meth:`batcher.ports.Throttle.pause`."""
        return self._state(quota).pause(self._clock.now(), ticket, until, slowly=slowly)

    def is_void(self, quota: str, ticket: Ticket) -> bool:
        """See :meth:`batcher.ports.Throttle.is_void`."""
        return ticket.epoch < self._state(quota).epoch

    def limits(self, quota: str) -> Limits:
        """See :meth:`batcher.ports.Throttle.limits`."""
        return self._state(quota).limits(self._clock.now())

    def _heed(self, quota: str) -> None:
        rpm, tpm = self._ceilings.of(quota)
        self._state(quota).configure(self._clock.now(), rpm=rpm, tpm=tpm)

    def _state(self, quota: str) -> QuotaState:
        state = self._quotas.get(quota)
        if state is None:
            state = self._quotas[quota] = QuotaState()
        return state


def _figure(rate: float | None) -> str:
    return "unlimited" if rate is None else f"{rate:g}"
