"""A quota's state: two buckets on one timeline, and a pause that stops everyone once.

Decides when each request may be sent. It reserves the future: a reservation is granted at the
earliest time at which both buckets hold it, at or after the one before, so what is first asked for
is first sent and nobody waits in a queue here. Time comes in as ``now``; nothing here sleeps.

For any span of time the costs granted in it are at most capacity + rate x time of each bucket, and
once a limit has bound also at most one second's worth + twice rate x time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from batcher.core.bucket import BURST_SECONDS, FLOW_SECONDS, MINUTE, Bucket, Cost, Limits, Ticket
from batcher.core.observation import Observation, is_limit
from batcher.core.refusals import MEASURE_SECONDS, Refusals
from batcher.core.sharing import (
    ANYBODY,
    GRACE_SECONDS,
    HORIZON_SECONDS,
    LEAD_SECONDS,
    Flow,
    Sharing,
)

DECREASE = 0.75
"""What an epoch's first 429 leaves of the rates."""
FLOOR = 0.05
"""The least share of the rates."""
RECOVERY = 0.005
"""The share of the rates that comes back each second."""
SLOW_RECOVERY = 0.5 / 900
"""The same after a "slow down": 50% in 15 minutes."""
GUESS = 0.75
"""The share of a measured rate that is used, at first, where nobody told a limit."""
GUESS_CLOSE = 0.95
"""Up to this share of what was measured, a guess grows quickly."""
GUESS_RETURN = 0.05
"""How much a guess grows each second up to there, at most,"""
GUESS_RETURN_REQUEST = 0.0125
"""and with each request."""
GUESS_GROWTH = 0.01
"""How much it grows each second from there on, until the next 429 measures again."""
CHANCE_RECOVERY = 0.05
"""The share of known rates that comes back each second after 429s that were chance."""
CHANCE_GROWTH = 0.25
"""How much a guess grows each second after 429s that were chance."""
GUESS_MOST = 1e5
"""A guess above this is forgotten, in units a second."""
GUESS_SECONDS = 20.0
"""Growth is faster the longer ago the last 429 is, beyond this."""
SILENCE_SECONDS = 5.0
"""A gap in the reservations after which nothing was measured."""
PROBE_SECONDS = 10.0
"""How long the one request that learns about an unknown quota is waited for."""
PROBE_LOOK_SECONDS = 0.5
"""How soon others look whether it was answered."""
WINDOW_SECONDS = 0.5
WINDOW_ANSWERS = 5
"""A window of answers, for what may only be believed if all say it, has at least this much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown of a bucket: its rate, whether somebody told it, and the use at a time."""

    rate: float
    known: bool
    flow: float


def show_limits(
    now: float,
    at: float,
    paused_until: float,
    requests: Shown,
    tokens: Shown,
    *,
    by_chance: bool,
) -> Limits:
    """The limits in force and the use of them; the flows are as of ``at``."""
    fade = math.exp(-max(0.0, now - at) / FLOW_SECONDS)
    shares = [
        min(1.0, shown.flow * fade / (shown.rate * FLOW_SECONDS)) if shown.rate < math.inf else 0.0
        for shown in (requests, tokens)
    ]
    return Limits(
        requests_per_minute=requests.rate * MINUTE if requests.known else None,
        tokens_per_minute=tokens.rate * MINUTE if tokens.known else None,
        requests_share=shares[0],
        tokens_share=shares[1],
        paused_until=paused_until if now < paused_until else None,
        by_chance=by_chance,
    )


@dataclass(slots=True, kw_only=True)
class QuotaState:
    """Everything the throttle knows of one quota.

    ``at`` is the time that the levels speak of: the last granted send, or later. ``factor`` is what
    429s left of the rates, as of ``factor_at``. ``bound`` says that a reservation has had to wait.
    While it is not ``taught`` and there is no limit, one request is let out until ``probe_until``.
    """

    requests: Bucket = field(default_factory=Bucket)
    tokens: Bucket = field(default_factory=Bucket)
    refusals: Refusals = field(default_factory=Refusals)
    sharing: Sharing = field(default_factory=Sharing)
    at: float = -math.inf
    epoch: int = 0
    paused_until: float = -math.inf
    factor: float = 1.0
    factor_at: float = -math.inf
    recovery: float = RECOVERY
    bound: bool = False
    faded_at: float = -math.inf
    window_at: float = -math.inf
    window_answers: int = 0
    taught: bool = True
    probe_until: float = -math.inf

    @classmethod
    def unknown(cls, now: float) -> QuotaState:
        """A quota shared by many, of which nothing is known, or nothing any more.

        It is let one request out to learn, and tickets of whatever was there before are void: its
        epoch is the time, in milliseconds, and no quota has an epoch each millisecond.
        """
        return cls(taught=False, epoch=math.floor(now * 1000))

    def configure(self, now: float, *, rpm: float | None, tpm: float | None) -> None:
        """Set the user's ceilings, per minute; None is none.

        Raises:
            ValueError: a ceiling that is no possible limit.
        """
        for ceiling in (rpm, tpm):
            if ceiling is not None and not is_limit(ceiling):
                raise ValueError(f"a limit must be above 0 and finite, not {ceiling}")
        self._advance(now)
        for bucket, ceiling in ((self.requests, rpm), (self.tokens, tpm)):
            rate = math.inf if ceiling is None else ceiling / MINUTE
            if rate != bucket.ceiling:
                bucket.set_rate(ceiling=rate, limit=bucket.limit)
                self.refusals.forget()

    def heed(self, now: float, *, request_ceiling: float, token_ceiling: float) -> None:
        """Keep to the ceilings of one of many, in units a second, infinite for none.

        The lowest counts that anybody had within the last minute.
        """
        self._advance(now)
        new = self.requests.heed(now, request_ceiling)
        if self.tokens.heed(now, token_ceiling) or new:
            self.refusals.forget()

    def reserve(
        self, now: float, costs: Sequence[Cost], flow: Flow = ANYBODY
    ) -> tuple[list[Ticket], float | None]:
        """Tickets for the first of the costs, and when to come back for the rest (or None)."""
        tickets: list[Ticket] = []
        if not costs:
            return tickets, None
        turn = self.sharing.enter(now, flow, self.at - now)
        if now < self.paused_until:
            self.sharing.leave(flow, self.paused_until + GRACE_SECONDS, wants=True)
            return tickets, self.paused_until
        self._recover(now)
        if now - self.at >= SILENCE_SECONDS or self.refusals.at == -math.inf:
            self.refusals.start(now, emptied=False)
        if now - self.at >= MINUTE and (self.requests.told or self.tokens.told):
            self.bound = False  # a minute of silence: as fresh as at the start
        requests, tokens, factor = self.requests, self.tokens, self.factor
        learns = not (self.taught or requests.limited or tokens.limited)
        for cost in costs:
            if learns and now < self.probe_until:
                later = min(now + PROBE_LOOK_SECONDS, self.probe_until)
                break
            base = max(self.at, now)
            if turn is not None and base > turn.reach():
                later = turn.come_back_at(base)
                break
            amount = cost.tokens
            send_at = self._earliest(now, amount)
            if turn is not None:
                turn.charge(max(requests.seconds(1, factor), tokens.seconds(amount, factor)))
            elif send_at > now + HORIZON_SECONDS:
                later = min(send_at - LEAD_SECONDS, now + HORIZON_SECONDS)
                break
            self._advance(send_at, amount)
            requests.take(1, bound=self.bound)
            tokens.take(amount, bound=self.bound)
            tickets.append(Ticket(send_at, self.epoch, cost, requests.reserved, tokens.reserved))
            if learns:
                self.probe_until = send_at + PROBE_SECONDS
        else:
            self.sharing.leave(flow, max(self.at, now) + HORIZON_SECONDS, wants=False)
            return tickets, None
        self.sharing.leave(flow, later + GRACE_SECONDS, wants=True)
        return tickets, later

    def give_back(self, now: float, tickets: Sequence[Ticket]) -> None:
        """Return what will not be sent; void tickets have nothing to return."""
        self._advance(now)
        for ticket in reversed(tickets):
            if ticket.epoch < self.epoch:
                continue
            last = ticket.requests_through == self.requests.reserved
            for bucket, amount in ((self.requests, 1), (self.tokens, ticket.cost.tokens)):
                bucket.put_back(amount)
                if last:  # else answers seem too low until all sent before it have been answered
                    bucket.reserved -= amount
                    bucket.barrier = min(bucket.barrier, bucket.reserved)

    def settle(self, now: float, ticket: Ticket, seen: Observation) -> None:
        """Learn from an answer."""
        self._recover(now)
        self._advance(now)
        requests, tokens = self.requests, self.tokens
        for bucket, limit in ((requests, seen.limit_requests), (tokens, seen.limit_tokens)):
            if limit is not None and limit / MINUTE != bucket.limit and is_limit(limit):
                bucket.set_rate(ceiling=bucket.ceiling, limit=limit / MINUTE)
                requests.set_guess(math.inf)
                self.refusals.forget()
        taken = ticket.cost.tokens  # in the end: what an answer leaves unused is put back
        if seen.used_tokens is not None and not tokens.told:
            taken = seen.used_tokens
        self.refusals.count(taken, ticket.send_at, admitted=seen.admitted)
        if ticket.epoch < self.epoch:
            return
        self.taught = True
        elapsed, admitted = self.at - seen.sent_at, seen.admitted
        amount, through = ticket.cost.tokens, ticket.tokens_through
        if not admitted:
            requests.put_back(1)
            tokens.put_back(amount)
        if (left := seen.remaining_requests) is not None:
            requests.observe(left, 1, ticket.requests_through, elapsed, admitted=admitted)
        if (left := seen.remaining_tokens) is not None:
            tokens.observe(left, amount, through, elapsed, admitted=admitted)
        if admitted and seen.used_tokens is not None:
            if tokens.told:
                tokens.charge(amount, seen.used_tokens)
            else:
                tokens.put_back(amount - seen.used_tokens)
        if ticket.requests_through > self.requests.barrier:
            self._count_answer(now)

    def pause(self, now: float, ticket: Ticket, until: float, *, slowly: bool = False) -> bool:
        """Stop everyone until a time; the first of an epoch's 429s begins the next one."""
        self._recover(now)
        opens = ticket.epoch >= self.epoch
        if slowly:
            self.refusals.forget()  # a provider that says it means it
        self.paused_until = max(self.paused_until, until, now)
        if opens:
            self.epoch += 1
            self.bound = True
            self.at = self.paused_until
            self._lower(now)
            self._start_window(now)
        if slowly:
            self.recovery = SLOW_RECOVERY
        if opens or self.at < self.paused_until:
            self.at = self.paused_until
            self.requests.empty()
            self.tokens.empty()
        return opens

    def limits(self, now: float) -> Limits:
        """The limits in force and the use of them; changes nothing."""
        requests, tokens = (
            Shown(rate=b.rate * self.factor, known=b.known, flow=b.flow)
            for b in (self.requests, self.tokens)
        )
        chance = self.refusals.by_chance
        return show_limits(now, self.at, self.paused_until, requests, tokens, by_chance=chance)

    def _earliest(self, now: float, amount: float) -> float:
        """The time at which both buckets hold the cost, at or after the last granted send."""
        self._advance(now, amount)
        requests, tokens, factor = self.requests, self.tokens, self.factor
        wait = max(requests.wait(1, factor), tokens.wait(amount, factor))
        if wait > 0 and not self.bound:
            self.bound = True
            for bucket in (requests, tokens):
                bucket.burst = BURST_SECONDS * bucket.rate * factor if bucket.limited else 0.0
        if self.bound or not requests.told:
            wait = max(wait, requests.spacing(1, factor))
        if self.bound or not tokens.told:
            wait = max(wait, tokens.spacing(amount, factor))
        return self.at + wait

    def _advance(self, to: float, amount: float = 0.0) -> None:
        """Refill both buckets up to a time; one in the past changes nothing."""
        if self.at == -math.inf:
            self.at = to
        seconds = to - self.at
        if seconds > 0:
            self.at = to
            requests, tokens, factor = self.requests, self.tokens, self.factor
            fade = math.exp(-seconds / FLOW_SECONDS)
            requests.advance(seconds, factor, fade, requests.need(1))
            tokens.advance(seconds, factor, fade, tokens.need(amount))

    def _recover(self, now: float) -> None:
        """Let the rates come back, a little each second, and the memory of refunds fade."""
        if now > self.faded_at:
            if self.tokens.refunds > 0:
                self.tokens.forget_refunds(now - self.faded_at)
            self.faded_at = now
        if now > self.factor_at:
            if self.factor < 1.0:
                recovery = CHANCE_RECOVERY if self.refusals.by_chance else self.recovery
                self.factor = min(1.0, self.factor + recovery * (now - self.factor_at))
            elif self.requests.guess < math.inf:
                self._grow(now, min(now - self.factor_at, MINUTE))
            self.factor_at = now
        if self.factor == 1.0:
            self.recovery = RECOVERY

    def _grow(self, now: float, seconds: float) -> None:
        """Try a little more than the guess."""
        guess = self.requests.guess
        if self.refusals.by_chance:
            growth = CHANCE_GROWTH
        elif guess < GUESS_CLOSE * self.refusals.measured:
            growth = min(GUESS_RETURN, GUESS_RETURN_REQUEST * guess)
        else:
            growth = GUESS_GROWTH
        calm = max(1.0, (now - self.paused_until) / GUESS_SECONDS)
        guess *= math.exp(min(10.0, growth * calm * seconds))
        self.requests.set_guess(guess)
        if guess > GUESS_MOST:
            self.requests.set_rate(ceiling=self.requests.ceiling, limit=self.requests.limit)

    def _lower(self, now: float) -> None:
        """Take the first 429 of an epoch to heart, unless it is mere chance.

        Where nobody told a limit, what was served since the last one is tried again from below. (Up
        to the very first 429 that is too much, since the bucket was full, but it ends the bursts.)
        """
        requests, tokens, refusals = self.requests, self.tokens, self.refusals
        known = requests.known or tokens.known
        refusals.judge(self.factor if known else requests.guess)
        served = None
        first = not known and requests.guess == math.inf
        if refusals.served > 0 and (first or now - refusals.at >= MEASURE_SECONDS):
            rates = (requests.rate, tokens.rate) if known else (1.0, math.inf)
            served = refusals.measure(now, *rates)
        if refusals.by_chance:
            return
        if served is not None and not known:
            requests.set_guess(GUESS * served)
            self.factor = 1.0
        elif requests.limited or tokens.limited:
            self.factor = max(FLOOR, self.factor * DECREASE)
        self.factor_at = self.paused_until

    def _count_answer(self, now: float) -> None:
        """Close the window of answers once enough came whose order of admission is known."""
        if self.window_answers == 0 and self.window_at == -math.inf:
            self.window_at = now
        self.window_answers += 1
        if self.window_answers >= WINDOW_ANSWERS and now - self.window_at >= WINDOW_SECONDS:
            for bucket in (self.requests, self.tokens):
                bucket.close_window(now - self.window_at)
            self._start_window(now)

    def _start_window(self, now: float) -> None:
        self.window_at = now
        self.window_answers = 0
