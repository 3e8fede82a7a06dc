"""Clients of a throttle in virtual time: one, or many that share one `QuotaState`, as a fleet does.

One client runs in `tests/core/throttle/simulation/test_throttle_simulation.py`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from batcher.core.failures.verdicts import pause_seconds
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.concurrency import ConcurrencyWindow
from batcher.core.throttle.observation import Observation, observation_from_headers
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import ANYBODY, Flow
from tests.simulated.provider import ReferenceProvider, Request, World

LATE_SECONDS = 1.0
"""What is later than this is not sent in one burst."""


@dataclass
class Network:
    """How long things take, in seconds: the way there, the work, and a connection's first use."""

    median: float = 0.3
    sigma: float = 0.4
    upload: float = 0.01
    jitter: float = 0.03
    connect: float = 0.08


@dataclass
class Report:
    """What happened."""

    seconds: float
    least: float
    sent: int
    refused: int
    reserves: int
    epochs: int

    @property
    def ratio(self) -> float:
        return self.seconds / self.least

    @property
    def refused_share(self) -> float:
        return self.refused / self.sent


@dataclass
class Client:
    """A pump and a sender, as the engine has them: reserve, wait, send, settle or pause."""

    world: World
    provider: ReferenceProvider
    quota: QuotaState
    network: Network
    random: Random
    work: deque[Request]
    window: ConcurrencyWindow
    flow: Flow = ANYBODY
    held: deque[tuple[Ticket, Request]] = field(default_factory=deque)
    in_flight: int = 0
    connections: int = 0
    come_back_at: float = -math.inf
    wake_at: float = math.inf
    stalled_until: float = -math.inf
    limits_known: bool = False
    reserves: int = 0
    sent: int = 0
    refused: int = 0
    pauses: int = 0
    finished_at: float = 0.0

    def step(self) -> None:
        """Send what is due, then ask for more."""
        now = self.world.now
        if now < self.stalled_until:
            self._wake(self.stalled_until)
            return
        self._drop_void()
        self._send_due()
        if (
            self.work
            and now >= self.come_back_at
            and len(self.held) <= (self.window.size - 1) // 2
            and self.in_flight + len(self.held) < self._ahead()
        ):
            self._reserve()
            self._send_due()
        due = [self.held[0][0].send_at] if self.held and self.in_flight < self.window.size else []
        if self.work and self.come_back_at > now:
            due.append(self.come_back_at)
        if due:
            self._wake(min(due))

    def _ahead(self) -> int:
        """How many may be sent or held: one, until the first answer."""
        return 2 * self.window.size if self.window.size > 1 or self.sent > 1 else 1

    def _wake(self, when: float) -> None:
        if self.wake_at <= self.world.now or when < self.wake_at:
            self.wake_at = when
            self.world.at(when, self._woken)

    def _woken(self) -> None:
        if self.wake_at <= self.world.now:
            self.wake_at = math.inf
        self.step()

    def _drop_void(self) -> None:
        void = [ticket for ticket, _ in self.held if ticket.epoch < self.quota.epoch]
        if void:
            self.quota.give_back(self.world.now, void)
        while self.held and self.held[-1][0].epoch < self.quota.epoch:
            self.work.appendleft(self.held.pop()[1])
            self.come_back_at = self.world.now

    def _reserve(self) -> None:
        self.reserves += 1
        room = max(1, self._ahead() - self.in_flight - len(self.held))
        batch = [self.work[i] for i in range(min(room, len(self.work)))]
        tickets, later = self.quota.reserve(
            self.world.now, [TokenDemand(r.cost) for r in batch], self.flow
        )
        for ticket in tickets:
            self.held.append((ticket, self.work.popleft()))
        self.come_back_at = self.world.now if later is None else later

    def _send_due(self) -> None:
        now = self.world.now
        while self.held and self.in_flight < self.window.size:
            ticket, request = self.held[0]
            if ticket.send_at > now + 1e-9:
                return
            if ticket.send_at < now - LATE_SECONDS:
                self._give_back()
                return
            self.held.popleft()
            self._send(ticket, request)

    def _give_back(self) -> None:
        """What waited for something else than its time is reserved again."""
        self.quota.give_back(self.world.now, [ticket for ticket, _ in self.held])
        self.work.extendleft(request for _, request in reversed(self.held))
        self.held.clear()
        self.come_back_at = self.world.now

    def _send(self, ticket: Ticket, request: Request) -> None:
        now, net = self.world.now, self.network
        self.sent += 1
        self.in_flight += 1
        delay = net.upload + net.jitter * self.random.random()
        if self.in_flight > self.connections:
            self.connections = self.in_flight
            delay += net.connect * self.random.lognormvariate(0, 0.3)
        epoch = self.window.epoch

        def arrive() -> None:
            ok, headers, wait = self.provider.arrive(self.world.now, request)
            if ok:
                takes = net.median * self.random.lognormvariate(0, net.sigma)
                self.world.at(self.world.now + takes, lambda: finish(headers))
            else:
                self.world.at(self.world.now + net.upload + 0.01, lambda: refuse(headers, wait))

        def finish(headers: dict[str, str]) -> None:
            self.provider.finish(self.world.now, request)
            seen = observation_from_headers(
                headers, sent_at=now, admitted=True, used_tokens=request.used
            )
            self._settle(ticket, seen)
            self.pauses = 0
            self.window.succeeded(limits_known=self.limits_known)
            self.finished_at = self.world.now
            self.step()

        def refuse(headers: dict[str, str], wait: float) -> None:
            self.refused += 1
            told = math.ceil(wait * 1000) / 1000 if self.provider.retry_after else None
            seen = observation_from_headers(headers, sent_at=now, admitted=False, retry_after=told)
            self._settle(ticket, seen)
            if told is None:
                self.pauses += 1
            wait = self._backoff() if told is None else told
            self.quota.pause(self.world.now, ticket, self.world.now + wait)
            if not self.quota.limits(self.world.now).by_chance:
                self.window.objected(epoch, limits_known=self.limits_known)
            self.work.appendleft(request)
            self.come_back_at = self.world.now
            self.step()

        self.world.at(now + delay, arrive)

    def _backoff(self) -> float:
        return pause_seconds(self.pauses, self.random)

    def _settle(self, ticket: Ticket, seen: Observation) -> None:
        self.in_flight -= 1
        self.quota.settle(self.world.now, ticket, seen)
        limits = self.quota.limits(self.world.now)
        self.limits_known = (
            limits.requests_per_minute is not None or limits.tokens_per_minute is not None
        )


def simulate(
    provider: ReferenceProvider,
    requests: Sequence[Request],
    *,
    seed: int,
    rpm: float | None = None,
    tpm: float | None = None,
    network: Network | None = None,
    concurrency: int = 100,
    stall: tuple[float, float] | None = None,
    lowered: tuple[float, float] | None = None,
    quota: QuotaState | None = None,
) -> Report:
    """Run one client through all requests.

    `stall` is (after, for) seconds in which it hangs; `lowered` is (after seconds, to what share)
    the provider lowers its limits.
    """
    world = World()
    quota = quota or QuotaState()
    quota.configure(world.now, rpm=rpm, tpm=tpm)
    client = Client(
        world=world,
        provider=provider,
        quota=quota,
        network=network or Network(),
        random=Random(seed),
        work=deque(requests),
        window=ConcurrencyWindow(concurrency),
    )
    world.at(world.now, client.step)
    if stall is not None:
        after, seconds = stall

        def hang() -> None:
            client.stalled_until = world.now + seconds

        world.at(world.now + after, hang)
    if lowered is not None:
        after, share = lowered
        world.at(world.now + after, lambda: provider.lower(world.now, share))
    started = world.now
    world.run(started + 3600)
    assert not client.work, "the client hangs"
    assert not client.held
    assert client.in_flight == 0
    return Report(
        seconds=client.finished_at - started,
        least=provider.least_seconds(requests),
        sent=client.sent,
        refused=client.refused,
        reserves=client.reserves,
        epochs=quota.epoch,
    )
