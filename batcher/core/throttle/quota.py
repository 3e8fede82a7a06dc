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

from batcher.core.throttle import rates
from batcher.core.throttle.bucket import (
    BURST_SECONDS,
    FLOW_SECONDS,
    MINUTE,
    Bucket,
    Limits,
    Ticket,
    TokenDemand,
)
from batcher.core.throttle.observation import Observation, is_limit
from batcher.core.throttle.refusals import Refusals
from batcher.core.throttle.sharing import (
    ANYBODY,
    GRACE_SECONDS,
    HORIZON_SECONDS,
    LEAD_SECONDS,
    Flow,
    Sharing,
)
from batcher.core.throttle.snapshot import Shown, show_limits, shown_rate
from batcher.core.throttle.windows import Window

WINDOW_HORIZON_SECONDS = 0.5
"""How far into the future tickets are granted where limits are counted in windows: what the next
answers say of an edge may change it."""
SILENCE_SECONDS = 5.0
"""A gap in the reservations after which nothing was measured."""
PROBE_SECONDS = 10.0
"""How long the one request that learns about an unknown quota is waited for."""
PROBE_LOOK_SECONDS = 0.1
"""How soon others look whether it was answered."""
LOOK_SECONDS = 0.005
"""How often answers are compared with what a bucket would say: more of them tell no more."""
SETTLE_SECONDS = 0.001
"""How far the levels may lie behind when an answer is compared with them: so many answers that
come at once are compared with the same levels."""
WINDOW_SECONDS = 0.5
WINDOW_ANSWERS = 5
"""A window of answers, for what may only be believed if all say it, has at least this much."""


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
    request_window: Window = field(default_factory=Window)
    token_window: Window = field(default_factory=Window)
    at: float = -math.inf
    epoch: int = 0
    paused_until: float = -math.inf
    factor: float = 1.0
    factor_at: float = -math.inf
    recovery: float = rates.RECOVERY
    bound: bool = False
    faded_at: float = -math.inf
    window_at: float = -math.inf
    window_answers: int = 0
    taught: bool = True
    probe_until: float = -math.inf
    explained: int = -1
    quick: float = math.inf
    looked_at: float = -math.inf

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
        self, now: float, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> tuple[list[Ticket], float | None]:
        """Tickets for the first of the costs, and when to come back for the rest (or None)."""
        tickets: list[Ticket] = []
        if not costs:
            return tickets, None
        turn = self.sharing.enter(now, flow, self.at - now)
        if now < self.paused_until:
            self.sharing.leave(flow, self.paused_until + GRACE_SECONDS, wants=True)
            return tickets, self.paused_until
        rates.recover(self, now)
        if now - self.at >= SILENCE_SECONDS or self.refusals.at == -math.inf:
            self.refusals.start(now, emptied=False)
        if now - self.at >= MINUTE and (self.requests.told or self.tokens.told):
            self.bound = False  # a minute of silence: as fresh as at the start
        requests, tokens, factor = self.requests, self.tokens, self.factor
        learns = not (self.taught or requests.limited or tokens.limited)
        learns = learns or self.request_window.fails > 1 or self.token_window.fails > 1
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
            windowed = self.request_window.kind or self.token_window.kind
            if windowed and send_at > now + WINDOW_HORIZON_SECONDS:
                later = min(send_at - LEAD_SECONDS, now + HORIZON_SECONDS)
                break
            if turn is not None:
                turn.charge(
                    max(
                        self._seconds(requests, self.request_window, 1, factor),
                        self._seconds(tokens, self.token_window, amount, factor),
                    )
                )
            elif send_at > now + HORIZON_SECONDS:
                later = min(send_at - LEAD_SECONDS, now + HORIZON_SECONDS)
                break
            self._advance(send_at, amount)
            requests.take(1, bound=self.bound)
            tokens.take(amount, bound=self.bound)
            self.request_window.take(send_at, 1)
            self.token_window.take(send_at, amount)
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
            self.request_window.put_back(1)
            self.token_window.put_back(ticket.cost.tokens)
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
        rates.recover(self, now)
        if now - self.at > SETTLE_SECONDS:
            self._advance(now)
        requests, tokens = self.requests, self.tokens
        for bucket, limit in ((requests, seen.limit_requests), (tokens, seen.limit_tokens)):
            if limit is not None and limit / MINUTE != bucket.limit and is_limit(limit):
                bucket.set_rate(ceiling=bucket.ceiling, limit=limit / MINUTE)
                requests.set_guess(math.inf)
                self.refusals.forget()
                self.request_window.forget()
                self.token_window.forget()
        taken = ticket.cost.tokens  # in the end: what an answer leaves unused is put back
        if seen.used_tokens is not None and not tokens.told:
            taken = seen.used_tokens
        self.refusals.count(taken, ticket.send_at, admitted=seen.admitted)
        self._learn_windows(now, ticket, seen)
        if ticket.epoch < self.epoch:
            return
        self.taught = True
        self.probe_until = -math.inf
        elapsed, admitted = self.at - seen.sent_at, seen.admitted
        self.quick = min(self.quick, max(now - seen.sent_at, 0.001))
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
        rates.recover(self, now)
        opens = ticket.epoch >= self.epoch
        if slowly:
            self.refusals.forget()  # a provider that says it means it
        self.paused_until = max(self.paused_until, until, now)
        if opens:
            self.epoch += 1
            self.request_window.ramped = self.token_window.ramped = 0.0
            self.bound = True
            self.at = self.paused_until
            if self.explained < ticket.epoch:
                rates.lower(self, now)
            self._start_window(now)
        if slowly:
            self.recovery = rates.SLOW_RECOVERY
        if opens or self.at < self.paused_until:
            self.at = self.paused_until
            self.requests.empty()
            self.tokens.empty()
        return opens

    def limits(self, now: float) -> Limits:
        """The limits in force and the use of them; changes nothing."""
        requests, tokens = (
            Shown(rate=shown_rate(b, w, self.factor), known=b.known, flow=b.flow)
            for b, w in ((self.requests, self.request_window), (self.tokens, self.token_window))
        )
        chance = self.refusals.by_chance
        return show_limits(now, self.at, self.paused_until, requests, tokens, by_chance=chance)

    def _learn_windows(self, now: float, ticket: Ticket, seen: Observation) -> None:
        """What an answer says of windows; of those before a pause only what was admitted."""
        requests_left, tokens_left = seen.remaining_requests, seen.remaining_tokens
        amount, send_at, sent_at = ticket.cost.tokens, ticket.send_at, seen.sent_at
        requests, tokens = self.request_window, self.token_window
        if seen.admitted:
            requests.answered(now, send_at, sent_at, 1, requests_left)
            tokens.answered(now, send_at, sent_at, amount, tokens_left)
            if requests_left is None and tokens_left is None:
                return
            if not (requests.kind or tokens.kind) and now < self.looked_at + LOOK_SECONDS:
                return
            self.looked_at = now
        few = requests_left is not None and requests_left < 1
        little = tokens_left is not None and tokens_left < amount
        nobody_says = requests_left is None and tokens_left is None
        self._learn_window(
            now,
            ticket,
            seen,
            self.requests,
            requests,
            1,
            ticket.requests_through,
            requests_left,
            seen.reset_requests,
            suspected=few or nobody_says,
        )
        self._learn_window(
            now, ticket, seen, self.tokens, tokens, amount, ticket.tokens_through,
            tokens_left, seen.reset_tokens, suspected=little or nobody_says,
        )  # fmt: skip

    def _learn_window(
        self,
        now: float,
        ticket: Ticket,
        seen: Observation,
        bucket: Bucket,
        window: Window,
        amount: float,
        through: float,
        left: float | None,
        reset: float | None,
        *,
        suspected: bool,
    ) -> None:
        """``suspected``: whether this limit may be what refused the request."""
        sent_at = seen.sent_at
        if not seen.admitted and ticket.send_at >= window.began:
            window.put_back(amount)
        if ticket.epoch < self.epoch:
            return
        if left is not None and reset is not None and bucket.limit < math.inf:
            window.see_reset(
                now,
                sent_at,
                reset,
                seen.step,
                left,
                bucket.limit * MINUTE,
                admitted=seen.admitted,
            )
        if left is not None and seen.admitted:
            since = bucket.reserved - through
            window.see_left(ticket.send_at, sent_at, amount, left, since, bucket.limit)
        if suspected and not seen.admitted:
            rate = bucket.rate * self.factor
            if window.refused(now, seen.retry_after, amount, rate):
                self.explained = ticket.epoch

    def _earliest(self, now: float, amount: float) -> float:
        """The time at which both buckets hold the cost, at or after the last granted send."""
        self._advance(now, amount)
        requests, tokens, factor = self.requests, self.tokens, self.factor
        if self.request_window.kind or self.token_window.kind:
            return self.at + max(
                self._wait(requests, self.request_window, 1),
                self._wait(tokens, self.token_window, amount),
            )
        if not (requests.limited or tokens.limited):
            return self.at + rates.growing_wait(self)
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

    def _wait(self, bucket: Bucket, window: Window, amount: float) -> float:
        """Seconds until one limit holds the amount, where at least one is counted in windows."""
        if not window.kind:
            wait = bucket.wait(amount, self.factor)
            return max(wait, bucket.spacing(amount, self.factor)) if self.bound else wait
        return max(window.wait(self.at, amount, bucket.ceiling), window.spacing(amount))

    def _seconds(self, bucket: Bucket, window: Window, amount: float, factor: float) -> float:
        """How long a limit takes to gain an amount."""
        return amount / window.rate if window.kind else bucket.seconds(amount, factor)

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
            self.request_window.advance(to)
            self.token_window.advance(to)

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
