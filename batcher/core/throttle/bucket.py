"""The values of the throttle, and one limit's bucket: arithmetic on debt, no waiters.

Decides how long a cost has to wait and what an answer proves about the level. It knows neither the
other bucket nor the pause (:mod:`batcher.core.throttle.quota` moves both on one timeline). A bucket
is a flat record of numbers and every operation is O(1): the same lines can be a script inside
Redis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

MINUTE = 60.0
"""The capacity of a bucket in seconds of its rate, as far as nothing else is known."""
START_SECONDS = 1.0
"""What a bucket holds while only the limit is known: the user may be wrong by a factor of two."""
UNTOLD_SECONDS = 5.0
"""The capacity while no answer has told what remains: a stall of the client costs nothing."""
LEAST_SECONDS = 2.0
"""The least capacity believed in where answers tell what remains."""
BURST_SECONDS = 1.0
"""The most that is released at one instant once a limit has bound, in seconds of its rate."""
FLOW_SECONDS = 10.0
"""Over how long the use shown to the user is averaged."""
CATCH_UP_SECONDS = 10.0
"""What lies unspent is released at twice the rate, or within about this time if that is faster."""
MARGIN_SECONDS = 0.2
"""How far below the truth an upward correction stays, besides one cost, in seconds of the rate."""
REFUND_SECONDS = 2.0
"""Over how long the speed of refunds is averaged."""
HEED_SECONDS = 60.0
"""How long a ceiling holds that one of many asked for last."""
LEARNING = 0.15
"""How quickly windows of answers are forgotten, of what is learned about a provider's refunds."""
NOISE = 0.3
"""A lesser share of what answers left unused may have come back by chance."""
SPARE_MOST = 0.95
"""The greatest share of a reserved cost that is believed to come back."""


class TokenDemand(NamedTuple):
    """What one request takes from the buckets: always one request, and these tokens."""

    tokens: int


class Ticket(NamedTuple):
    """The right to send one request at ``send_at``, unless a later epoch has begun.

    ``requests_through`` and ``tokens_through`` count everything ever reserved, this ticket's cost
    included: what was reserved after it is a difference of two such numbers. (A tuple: one is made
    for every request, and a frozen dataclass takes four times as long.)
    """

    send_at: float
    epoch: int
    cost: TokenDemand
    requests_through: float
    tokens_through: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force.

    Rates are None where there is no limit; shares are of the limit in use, 0 to 1.
    ``paused_until`` is on the monotonic clock, None where there is no pause; ``by_chance`` says
    that 429s come whatever is sent.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    requests_share: float = 0.0
    tokens_share: float = 0.0
    paused_until: float | None = None
    by_chance: bool = False


@dataclass(slots=True, kw_only=True)
class Bucket:
    """One limit: a level that refills evenly, and a small bucket behind it that spaces releases.

    ``level`` speaks of the quota's ``at``, everything reserved being taken out: what the provider's
    bucket would hold if every request were admitted the moment it is granted. A request on its way
    only makes the provider's bucket fuller than that, so the level errs on the safe side.

    ``ceiling`` (the user's), ``limit`` (the provider's) and ``guess`` (what 429s measured) are
    units a second, infinite where there is none; the ceiling was last asked for at ``heeded_at``,
    if there are many who may ask. ``reserved`` counts all that was ever taken; the
    order of admission is known only of tickets beyond ``barrier``. ``told`` says that answers tell
    what remains; ``held`` is the most that was seen in the bucket.

    Of this window of answers ``rise`` is the least upward difference and ``fallen`` the sum of the
    downward ones; ``answered`` is what was reserved for it and ``unused`` what of that was not
    needed. The same of the last windows, with what the level ``gained`` beyond the rate, are sums
    that fade. Learned from these: ``spare``, the share unused, and ``shows``, how much of it comes
    back (1 where the provider charges by usage); ``refunds`` is what comes back each second.
    ``flow`` is recent use, for display.

    Four figures follow from these and are kept, because every request asks for them many times:
    ``rate`` (units a second, infinite where there is no limit), ``capacity`` (the most that the
    level may reach, given what was seen), ``net`` (the share of a reserved cost that is finally
    charged, as far as answers show) and ``inflow`` (refunds to be expected each second).
    """

    ceiling: float = math.inf
    limit: float = math.inf
    guess: float = math.inf
    heeded_at: float = -math.inf
    level: float = math.inf
    burst: float = 0.0
    reserved: float = 0.0
    barrier: float = 0.0
    rise: float = math.inf
    answered: float = 0.0
    told: bool = False
    held: float = 0.0
    unused: float = 0.0
    fallen: float = 0.0
    spare: float = 0.0
    shows: float = 0.0
    refunds: float = 0.0
    all_answered: float = 0.0
    all_unused: float = 0.0
    all_gained: float = 0.0
    flow: float = 0.0
    rate: float = math.inf
    capacity: float = math.inf
    net: float = 1.0
    inflow: float = 0.0

    @property
    def known(self) -> bool:
        """Whether somebody told a limit."""
        return min(self.ceiling, self.limit) < math.inf

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all, be it a guess."""
        return self.rate < math.inf

    def set_rate(self, *, ceiling: float, limit: float) -> None:
        """Enforce other limits from now on; one that is new starts with a second of its rate."""
        was_limited = self.limited
        self.ceiling, self.limit = ceiling, limit
        self.told = self.told and limit <= ceiling
        self.set_guess(math.inf)
        if not self.limited:
            self.level = math.inf
        elif not was_limited:
            self.level = START_SECONDS * self.rate
            self.burst = BURST_SECONDS * self.rate
        else:
            self.level = min(self.level, self.capacity)

    def heed(self, now: float, ceiling: float) -> bool:
        """Keep to the lowest ceiling that anybody asked for lately; returns whether it is new."""
        if ceiling > self.ceiling and now < self.heeded_at + HEED_SECONDS:
            return False
        self.heeded_at = now
        if ceiling == self.ceiling:
            return False
        self.set_rate(ceiling=ceiling, limit=self.limit)
        return True

    def set_guess(self, guess: float) -> None:
        """Enforce another guess from now on, infinite for none; the level stays."""
        self.guess = guess
        self.rate = min(self.ceiling, self.limit, guess)
        self._set_capacity()
        self._expect_refunds()

    def advance(self, seconds: float, factor: float, fade: float, room: float = 0.0) -> None:
        """Refill for some seconds; ``room`` is a cost larger than the capacity to be held.

        ``fade`` is what these seconds leave of the flow.
        """
        self.flow *= fade
        rate = self.rate
        if rate == math.inf:
            return
        level, pace = self.level, rate * factor
        self.level = min(max(level, self.capacity, room), level + (pace + self.inflow) * seconds)
        self.burst = min(BURST_SECONDS * pace, self.burst + self._release(factor) * seconds)

    def wait(self, amount: float, factor: float) -> float:
        """Seconds until the level holds the amount; one above any capacity waits for a full one."""
        rate = self.rate
        if rate == math.inf or self.reserved == 0:  # the first of all teaches the limits
            return 0.0
        short = self.need(amount) - self.level
        return short / (rate * factor + self.inflow) if short > 0 else 0.0

    def spacing(self, amount: float, factor: float) -> float:
        """Seconds until a release of the amount keeps the burst within a second's worth."""
        rate = self.rate
        if rate == math.inf or self.reserved == 0:
            return 0.0
        short = min(amount * self.net, BURST_SECONDS * rate * factor) - self.burst
        return short / self._release(factor) if short > 0 else 0.0

    def seconds(self, amount: float, factor: float) -> float:
        """How long the bucket takes to gain the amount; 0 where there is no limit."""
        return amount / (self.rate * factor + self.inflow)

    def need(self, amount: float) -> float:
        """What the level must hold before the amount is taken."""
        return min(amount, MINUTE * self.rate if self.told else self.capacity)

    def take(self, amount: float, *, bound: bool) -> None:
        """Take a granted amount out; the level may become negative."""
        self.reserved += amount
        self.flow += amount
        if self.rate < math.inf:
            self.level -= amount
            self.burst -= amount * self.net
        if not bound:
            self.barrier = self.reserved

    def put_back(self, amount: float) -> None:
        """Return what was not charged after all."""
        if self.rate < math.inf:
            self.level = min(self.level + amount, max(self.level, self.capacity))
            self.burst = min(self.burst + amount * self.net, BURST_SECONDS * self.rate)

    def empty(self) -> None:
        """Hold nothing, and trust no answer to a request of before."""
        self.level = min(self.level, 0.0) if self.limited else math.inf
        self.burst = 0.0
        self.shows *= 0.5  # not all that was expected has come
        self.all_gained *= 0.5
        self._expect_refunds()
        self.barrier = self.reserved
        self.start_window()

    def start_window(self) -> None:
        """Begin to look for the least upward difference anew."""
        self.rise = math.inf
        self.answered = self.unused = self.fallen = 0.0

    def observe(
        self, remaining: float, amount: float, through: float, elapsed: float, *, admitted: bool
    ) -> None:
        """Compare the level with what remained when the request was admitted.

        What was reserved since is taken off, ``elapsed`` seconds of refill are added. Of requests
        sent in one burst nobody knows in which order they were admitted: for these the comparison
        assumes that all came before, and proves only that the level is too high.
        """
        limit = self.limit
        if limit == math.inf:
            return
        governs = limit <= self.ceiling
        if governs and admitted:
            if remaining + amount > self.held:
                self.held = remaining + amount
                self._set_capacity()
            self.answered += amount
        since = self.reserved - max(through, self.barrier)
        if governs and not self.told:
            self.told = True
            self._set_capacity()
            self.level = min(remaining - since, MINUTE * self.rate)
            self.rise = 0.0
            return
        truth = min(remaining - since + elapsed * (limit + self.inflow), MINUTE * limit)
        if governs:
            truth = min(truth, self.capacity)
        difference = truth - self.level
        if difference < 0:
            self.level = truth
            self.rise = 0.0
            self.fallen -= difference
        elif self.rise > 0 and governs and admitted and through > self.barrier:
            self.rise = min(self.rise, max(0.0, difference - amount - MARGIN_SECONDS * self.rate))

    def charge(self, amount: float, charged: float) -> None:
        """Learn what an answer used of what was reserved for it, where answers may show refunds."""
        unused = max(0.0, amount - charged)
        self.unused += unused
        self.refunds += unused / REFUND_SECONDS
        self._expect_refunds()

    def forget_refunds(self, seconds: float) -> None:
        """Let the memory of refunds fade for some seconds."""
        self.refunds *= math.exp(-seconds / REFUND_SECONDS)
        self._expect_refunds()

    def close_window(self, seconds: float) -> None:
        """Apply the least upward difference of a window of answers, and learn from it.

        What the level gained beyond the rate is set against what the answers left unused: a
        provider that charges by usage shows it all, one that charges at admission nothing.
        """
        if self.told and self.rise < math.inf:
            self.level += self.rise
            gained = self.inflow * seconds + self.rise - self.fallen
            self.all_answered += self.answered - LEARNING * self.all_answered
            self.all_unused += self.unused - LEARNING * self.all_unused
            self.all_gained += gained - LEARNING * self.all_gained
            if self.all_unused > 0:
                self.spare = min(SPARE_MOST, self.all_unused / self.all_answered)
                self.shows = min(1.0, self.all_gained / self.all_unused)
            self._expect_refunds()
        self.start_window()

    def _set_capacity(self) -> None:
        """At most a minute, and what was seen; a few seconds where no answer tells what remains."""
        rate = self.rate
        if self.told:
            self.capacity = min(MINUTE * rate, max(self.held, LEAST_SECONDS * rate))
        else:
            self.capacity = UNTOLD_SECONDS * rate

    def _expect_refunds(self) -> None:
        """What is unused is expected back as far as it was shown; too little may be noise.

        At most the refunds of a steady flow at the limit.
        """
        if self.shows > NOISE:
            steady = self.rate * self.spare / (1.0 - self.spare)
            self.net = 1.0 - self.shows * self.spare
            self.inflow = self.shows * min(self.refunds, steady)
        else:
            self.net, self.inflow = 1.0, 0.0

    def _release(self, factor: float) -> float:
        """The speed of catching up: twice the rate, and more where a minute's worth lies unspent.

        It falls with the square of what 429s left of the rates: after two of them it is below the
        rate, whatever the answers say that remains.
        """
        rate = self.rate
        unspent = self.level / (CATCH_UP_SECONDS * rate)
        return rate * factor * (1.0 + factor * max(1.0, unspent))
