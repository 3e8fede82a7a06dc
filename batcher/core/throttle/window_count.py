"""A limit that is counted in windows: what was granted lately, and when it admits more.

What it is learned to be stands next door (:mod:`batcher.core.throttle.windows`). While it may well
be a bucket, only a log of what was granted lately is kept here. Knows no pause and no other limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

NONE, FIXED, SLIDING, EVEN = 0, 1, 2, 3
"""What a limit is: no window as far as is known, one with edges, a log of the last seconds, or one
that lets more in little by little, such as a mean of two counters."""
MARGIN_SECONDS = 0.15
"""How long after an edge the first request is sent."""
MARGIN_SHARE = 0.05
"""The same, at most, as a share of the window."""
MEMORY_SECONDS = 60.0
"""How long the log goes back while there is no window."""
BIN_SECONDS = 0.1
BINS = 64
"""The log's resolution, and how many it has before its older half is made coarser."""
RAMP = 8.0
RAMP_SPAN = 20.0
"""After an edge the speed of release grows e-fold with each of so many parts of a second."""
LONG_WAIT_SECONDS = 600.0
"""Nobody waits longer than this without asking the provider again."""
FOREIGN_SECONDS = 2.0
NOISE = 0.05
"""What others seem to use is not believed below this share of the whole."""
DISTRUST_SECONDS = 5.0
"""How long nothing is taken for a window after one proved to be none: twice as long each time."""
KEPT = 0.75
"""What is held at least of a window's size if less was seen in the last one."""
UNSURE_SECONDS = 0.75
"""How long is waited for answers while all that a window admits is on its way and its length is not
sure: they may show that it is longer."""
PROBE_EVERY = 50.0
PROBE_TOLD = 200.0
"""One request in so many may find out whether a window admits more, if that is not told, or has
ended, if its edges are not."""


USUAL_SECONDS = (1.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 300.0, 600.0, 3600.0)


@dataclass(slots=True, kw_only=True)
class WindowCount:
    """One limit's window: what was granted in it, and when it admits more.

    ``span`` is its length, which is ``sure`` once two edges said so, ``most`` what it admits,
    ``edge`` when it ends. In it, since ``began``, there were ``used`` granted, ``flying`` of these
    are not answered, and ``served`` were admitted. ``held`` is the most that was left at its
    beginning (``top`` in this one). ``full`` says that a 429 ended it. ``late`` is how much longer
    than its span it is taken for, since requests do not arrive when they are sent. When all that
    was granted was answered last, at ``quiet_at``, ``quiet`` of it were admitted; at ``fresh_at``
    nothing was in it. ``early`` counts requests that came too early, one soon after the other.
    """

    kind: int = NONE
    sure: bool = False
    span: float = math.inf
    most: float = math.inf
    edge: float = -math.inf
    began: float = -math.inf
    used: float = 0.0
    flying: float = 0.0
    served: float = 0.0
    full: bool = False
    guessed: bool = False
    told: bool = False
    held: float = 0.0
    top: float = 0.0
    foreign: float = 0.0
    at: float = -math.inf
    low: float = math.inf
    ramped: float = 0.0
    late: float = 0.0
    fails: float = 0.0
    failed_at: float = -math.inf
    fails_until: float = -math.inf
    popped_at: float = -math.inf
    seen_edge: float = -math.inf
    edge_left: float = 0.0
    seen_left: float = math.inf
    left_at: float = -math.inf
    former: float = 0.0
    moved: int = 0
    unprobed: float = 0.0
    step: float = 1.0
    distrust_until: float = -math.inf
    distrust: float = DISTRUST_SECONDS
    fresh_at: float = -math.inf
    quiet_at: float = math.inf
    quiet: float = 0.0
    early_at: float = -math.inf
    early: int = 0
    log: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """What it admits in a second, on average; infinite where that is not known."""
        return self.most / self.span if self.kind and self.span < math.inf else math.inf

    def advance(self, to: float) -> None:
        """Let what is over be over."""
        if self.kind == FIXED:
            if to >= self.edge > -math.inf:
                self._turn(self.edge)
                self.edge = -math.inf
            return
        log = self.log
        if self.kind == SLIDING:
            self.foreign *= math.exp(-max(0.0, to - self.at) / FOREIGN_SECONDS)
            self.at = max(self.at, to)
            if to >= self.edge > self.began:  # what was measured up to here was all
                self._measure()
                self.began, self.served = self.edge, 0.0
            keep = to - self.span - self.slack
        else:
            keep = to - MEMORY_SECONDS
        gone = 0
        while gone < len(log) and log[gone] <= keep:
            self.used -= log[gone + 1]
            if self.kind == NONE:
                self.served = max(0.0, self.served - log[gone + 1])
            gone += 2
        if gone:
            log = self.log = log[gone:]
            self.popped_at = to
            if not log:
                self.used = self.flying = 0.0
            if self.kind == NONE:
                self.began = log[0] if log else -math.inf

    @property
    def slack(self) -> float:
        """How much later than at its end a window is used again."""
        return min(MARGIN_SECONDS, MARGIN_SHARE * self.span) + self.late

    def wait(self, at: float, amount: float, ceiling: float) -> float:
        """Seconds until the window admits the amount; what is more than all waits for all of it."""
        if self.kind == NONE:
            return 0.0
        if self.kind == EVEN:
            last = self.log[-2] if self.log else -math.inf
            return max(0.0, last + min(amount, self.most) / self.rate - at)
        if self.kind == FIXED and self.edge == -math.inf:
            return max(0.0, self.began + self.slack - at)
        most = min(self.most, ceiling * self.span)
        short = self.used + min(amount, most) - most
        if abs(self.foreign) > NOISE * self.most or (self.kind == FIXED and self.flying <= 0):
            short += self.foreign
        if short > 0 and self.flying <= 0 and self._may_probe(amount):
            self.most = self.used + self.step * amount
            self.step *= 2
            short = 0.0
        unsure = self.kind == SLIDING and not self.sure and self.told
        if unsure and self.flying + min(amount, most) > most:
            return UNSURE_SECONDS
        if not short > 0:
            return 0.0
        wait = 0.0
        if self.kind == FIXED:
            wait = self.edge + self.slack - at
        else:
            log = self.log
            for i in range(0, len(log), 2):
                short -= log[i + 1]
                if short <= 1e-9:
                    wait = log[i] + self.span + self.slack - at
                    break
        return wait if wait <= LONG_WAIT_SECONDS else 0.0

    def _may_probe(self, amount: float) -> bool:
        """Whether one request may find out what nobody tells."""
        if self.told:
            return self.kind == FIXED and self.guessed and self.unprobed >= PROBE_TOLD * amount
        return not self.sure or self.unprobed >= PROBE_EVERY * amount

    def spacing(self, amount: float) -> float:
        """Seconds between two releases: slow at first, for an edge may have been misjudged."""
        if amount <= 0 or self.kind == EVEN:
            return 0.0
        return amount / (max(RAMP, RAMP_SPAN / self.span) * (self.ramped + amount))

    def take(self, at: float, amount: float) -> None:
        """Log what was granted for a time."""
        if self.began == -math.inf:
            self.began = at
        if self.kind == FIXED and self.edge == -math.inf:
            self.edge = at + self.span
            self.guessed = True
        self.used += amount
        self.flying += amount
        self.ramped += amount
        self.unprobed += amount
        log = self.log
        size = len(log)
        if size and at - log[-2] < BIN_SECONDS and (size == 2 or at - log[-4] < 2 * BIN_SECONDS):
            log[-2] = at
            log[-1] += amount
            return
        log.append(at)
        log.append(amount)
        if len(log) > 2 * BINS:
            self._make_coarser()

    def postpone(self, send_at: float, sent_at: float, amount: float) -> None:
        """What was sent later than granted comes back later."""
        log = self.log
        i = 0
        while i < len(log) and (log[i] < send_at or log[i + 1] < amount):
            i += 2
        if i == len(log) or log[i] >= sent_at:
            return
        log[i + 1] -= amount
        while i < len(log) and log[i] < sent_at:
            i += 2
        if i < len(log) and log[i] < sent_at + BIN_SECONDS:
            log[i + 1] += amount
            return
        log[i:i] = (sent_at, amount)  # what is granted much later may be of another window
        if len(log) > 2 * BINS:
            self._make_coarser()

    def put_back(self, amount: float) -> None:
        """Strike what was not admitted, or not sent."""
        self.used = max(0.0, self.used - amount)
        self.flying = max(0.0, self.flying - amount)
        log = self.log
        while amount > 0 and log:
            if log[-1] > amount:
                log[-1] -= amount
                return
            amount -= log.pop()
            log.pop()

    def granted(self, after: float, until: float) -> float:
        """How much of the log was granted after a time and before another."""
        log, granted = self.log, 0.0
        for i in range(0, len(log), 2):
            if log[i] >= until:
                break
            if log[i] > after:
                granted += log[i + 1]
        return granted

    def _measure(self) -> None:
        """What was served until a 429 is what the window admits, unless it is hard to believe."""
        if self.full:
            least = 0.5 * self.most if self.most < math.inf else 1.0
            self.most = max(self.served, least)
            self.full = False

    def _turn(self, edge: float) -> None:
        """A new window has begun at a time, and nothing is used of it."""
        self._measure()
        if self.top > 0:
            self.held = self.most = max(self.top, KEPT * self.held)
            self.top = 0.0
        self.began = edge
        self.popped_at = -math.inf
        self.used = self.served = self.flying = self.foreign = self.ramped = 0.0
        self.quiet_at, self.quiet = math.inf, 0.0
        self.low = math.inf
        self.log = []

    def _turn_log(self, edge: float) -> None:
        """The same, where what was granted since is in the log."""
        log = self.log
        gone = 0
        while gone < len(log) and log[gone] < edge:
            gone += 2
        rest = log[gone:]
        flying, served = self.flying, self.served
        self._turn(edge)
        self.log = rest
        self.served = served
        for i in range(1, len(rest), 2):
            self.used += rest[i]
        self.flying = min(flying, self.used)

    def _make_coarser(self) -> None:
        """Join each two of the bins, at the later one's time."""
        log = self.log
        joined: list[float] = []
        for i in range(0, len(log) - 2, 4):
            joined.append(log[i + 2])
            joined.append(log[i + 1] + log[i + 3])
        if len(log) % 4:
            joined += log[-2:]
        self.log = joined


def usual_length(least: float, most: float) -> float:
    """A length that windows usually have, between two; the longer one if there is none."""
    for seconds in USUAL_SECONDS:
        if least <= seconds <= most:
            return seconds
    return most
