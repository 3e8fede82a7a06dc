"""A limit that is counted in windows: what it is learned to be.

Decides nothing while a limit may well be a bucket (:mod:`batcher.core.throttle.bucket`): then it
only keeps a log of what was granted lately. What no bucket explains makes it a window: a reset, or
a wait that a 429 asks for, much longer than the rate needs. It is taken for a sliding one first, as
long as the time from the log's beginning to that reset: no other shape comes back sooner. What is
seen after the reset says which it is, and how long. When it admits more,
:mod:`batcher.core.throttle.window_count` says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from batcher.core.throttle.window_count import (
    EVEN,
    FIXED,
    LONG_WAIT_SECONDS,
    MEMORY_SECONDS,
    NONE,
    SLIDING,
    WindowCount,
    usual_length,
)

LEAST_SPAN = 0.1
"""No window is taken for shorter."""
LATE_LEAST = 0.05
"""A request that left no later than this after its time was punctual."""
LATE_SECONDS = 0.25
LATE_SHARE = 0.1
"""How much later a sliding window is used again after a request came too early, and at most."""
EARLY_MOST = 3
"""How often requests may come too early, one soon after the other, before more is let in evenly."""
EARLY_SECONDS = 2.0
EVEN_SLOWER = 1.05
EVEN_FASTER = 0.99
EVEN_LEFT = 0.5
"""What a 429 makes of the time in which a window is let in evenly, and an answer that says that
more than this share is left."""
FAILS_MOST = 5
MOVED_MOST = 2
"""How often nothing more may be let in, or edges move, before it is no window."""
GAIN = 0.1
"""How much of a difference to what an answer tells is believed."""
TOLERANCE_SECONDS = 0.25
"""Edges that are no further apart are one."""
RESET_SHARE = 1.1
RESET_SECONDS = 1.1
"""A reset is a bucket's if it is no later than the bucket is full, within these."""
SOON_SHARE = 0.5
"""No bucket that a unit was just taken from is full in less than this share of the time that it
takes to gain one; what was refused took nothing."""
LOG_SHARE = 0.025
"""How far the log may be from what a 429 says of a sliding window, as a share of its span."""
SHORTER_SHARE = 0.7
LONGER_SHARE = 1.3
"""A sliding window is shorter if its oldest part leaves it after less than this share of its span,
longer if all stays for more than that."""
SLACK_SECONDS = 1.5
"""The same of a wait that a 429 asks for: providers round it up to a second."""
JUMP_SHARE = 0.5
JUMP_TIMES = 4.0
JUMP_SECONDS = 2.0
LENGTHS = (60.0, 300.0, 600.0)
"""A wait of just so much is the window's length, whatever is left of it: some say no more."""
STEADY_SECONDS = 0.1
STEADY_TIMES = 6.0
STEADY_SHARE = 0.3
STEADY_MOVED = 0.7
NEAR_SHARE = 0.1
SAME_SHARE = 0.6
"""A next edge that comes after less than this share of the span is no edge."""
JITTER_SHARE = 0.15
JITTER_SECONDS = 0.3
"""A wait so short says that a request came too early, not that the window is another."""
DISTRUST_MOST = 120.0
"""How long at most nothing is taken for a window after one proved to be none."""


@dataclass(slots=True, kw_only=True)
class Window(WindowCount):
    """One limit's window, and what answers say of it."""

    def answered(
        self, now: float, send_at: float, sent_at: float, amount: float, left: float | None
    ) -> None:
        """Count a request that was admitted."""
        if sent_at > send_at + LATE_LEAST and self.kind != FIXED:
            self.postpone(send_at, sent_at, amount)
        if self.fails and sent_at > self.fails_until:
            self._found(sent_at, amount)
        if send_at >= self.began:
            self.flying = max(0.0, self.flying - amount)
            self.served += amount
            if self.flying <= 0:
                self.quiet_at, self.quiet = now, self.served
        if left is not None:
            self.told = True
            self.top = max(self.top, left + amount)
            if self.top > self.held:
                self.held = self.top
                if self.kind:
                    self.most = self.held
            if left + amount >= self.held and sent_at >= self.quiet_at:
                self.fresh_at = sent_at

    def see_left(
        self, send_at: float, sent_at: float, amount: float, left: float, since: float, rate: float
    ) -> None:
        """Compare with what was left when a request was admitted; ``since`` was granted since.

        Requests are not admitted in the order in which they are granted, so one answer says little
        of what others use. When all are answered the least that was left is what there is.
        """
        if self.kind == NONE:
            self._see_jump(sent_at, amount, left, rate)
            return
        if send_at < self.began:
            return
        if self.kind == SLIDING and sent_at >= self.quiet_at and left > JUMP_SHARE * self.most:
            known = self.granted(sent_at + JUMP_SECONDS - self.span, self.quiet_at)
            if left + amount > self.most - known + JUMP_SHARE * self.most:
                self._restart(sent_at)  # it had edges after all
                return
        if self.popped_at > sent_at:
            return
        if self.kind == EVEN:
            if left > EVEN_LEFT * self.most:
                self.span = max(EVEN_FASTER * self.span, LEAST_SPAN)
            return
        less = self.most - (left - since) - self.used
        known = self.quiet if sent_at >= self.quiet_at else 0.0  # admitted before this one
        if self.kind == FIXED and left + amount > self.most - known + JUMP_SHARE * self.most:
            self.span = min(self.span, max(sent_at - self.began, LEAST_SPAN))  # it ended unseen
            self._restart(sent_at)
        elif self.kind == FIXED:
            self.low = min(self.low, left)
            if self.flying <= 0:
                self.foreign = self.most - self.low - self.used
                return
        self.foreign = max(0.0, self.foreign + GAIN * (less - self.foreign))

    def see_reset(
        self, now: float, sent_at: float, reset: float, step: float, left: float, limit: float,
        *, admitted: bool,
    ) -> None:  # fmt: skip
        """Compare with when a limit, of so much a minute, is said to be reset."""
        edge = sent_at + reset
        near = min(TOLERANCE_SECONDS, NEAR_SHARE * self.span) + step
        if self.kind == NONE:
            self._suspect(now, edge, reset, step, left, limit, admitted=admitted)
        elif self.kind == SLIDING and self._is_another(sent_at, edge, near):
            self._begin(edge)
        elif self.kind == SLIDING and not self.sure:
            if sent_at >= self.edge and abs(reset - self.span) <= near:
                self.sure = True  # a window of its own is as good as one that slides
            elif edge > self.edge + near:
                if sent_at >= self.edge:
                    self._tell_apart(edge)
                else:
                    self._move(now, reset, near)
        elif self.kind == FIXED:
            self._see_edge(now, sent_at, edge, reset, step, near)

    def _see_edge(
        self, now: float, sent_at: float, edge: float, reset: float, step: float, near: float
    ) -> None:
        """When a window with edges is said to end."""
        if self.guessed and abs(edge - self.edge) <= max(near, NEAR_SHARE * self.span):
            self.edge = edge
            self.guessed = False
        elif edge > self.edge + near:
            if sent_at >= self.began and self.edge > sent_at + near:
                self._move(now, reset, near)
                self.edge = edge if self.kind else -math.inf
            else:
                self._turn(max(self.edge, sent_at))
                self.edge = edge
        elif edge < self.edge - near and sent_at >= self.began:
            self.edge = edge
            self.guessed = False
        elif self.edge > -math.inf and abs(edge - self.edge) <= near:
            self.moved = 0
            self.edge = min(edge, self.edge) if step else max(edge, self.edge)

    def refused(self, now: float, retry: float | None, amount: float, rate: float) -> bool:
        """Learn from the first 429 of an epoch; returns whether a window explains it.

        ``rate`` is what is believed in, infinite where nothing is known.
        """
        if not retry:
            return self._refused_without_a_time(now, amount)
        edge = now + retry
        self.step, self.unprobed = 1.0, 0.0
        if self.kind == NONE:
            if now < self.distrust_until or self.began == -math.inf or retry > LONG_WAIT_SECONDS:
                return False
            if rate == math.inf:
                rate = (self.served + amount) / (3 * max(now - self.began, 0.1))
            if retry <= RESET_SHARE * amount / rate + SLACK_SECONDS:
                self.former = edge - self.began
                self._turn(edge)
                return False
            self._begin(edge)
            if retry in LENGTHS:
                self.span = min(self.span, retry)
            self.full = not self.told
            return True
        if self.kind == EVEN:
            self.span *= EVEN_SLOWER
            return True
        if self.kind == SLIDING:
            return self._refused_while_sliding(now, retry, amount)
        early = retry <= JITTER_SHARE * self.span and self.served < 0.5 * self.most
        if early and self._is_even(now):
            return True
        self.edge = edge
        self.full = not self.told and not early
        return True

    def _refused_while_sliding(self, now: float, retry: float, amount: float) -> bool:
        """Too early, or one too many, or it is no sliding window."""
        edge = now + retry
        if now < self.edge:
            self.edge = max(self.edge, edge)
            self.full = not self.told
            return True
        if retry <= JITTER_SECONDS:
            return self._came_early(now, retry)
        near = TOLERANCE_SECONDS + LOG_SHARE * self.span + (retry == math.floor(retry)) * 0.5
        if self.log and abs(edge - self.log[0] - self.span) <= near:
            self.sure = True
            if not self.told:
                self.most = max(self.most - amount, 0.5 * self.most)
            return True
        if retry <= JITTER_SHARE * self.span:
            return self._came_early(now, retry)
        self._tell_apart(edge)
        self.full = not self.told
        return True

    def _came_early(self, now: float, retry: float) -> bool:
        """Requests arrive sooner than those before did; too often, and it lets them in evenly."""
        self.late = min(self.late + min(retry, LATE_SECONDS), LATE_SHARE * self.span)
        self._is_even(now)
        return True

    def _is_even(self, now: float) -> bool:
        """Whether requests came too early again and again: then more is let in evenly."""
        self.early = self.early + 1 if now < self.early_at + EARLY_SECONDS else 1
        self.early_at = now
        if self.early < EARLY_MOST or self.most == math.inf:
            return False
        self.kind, self.sure = EVEN, True
        return True

    def _distrust(self, now: float) -> None:
        self.forget()
        self.distrust_until = now + self.distrust
        self.distrust = min(2.0 * self.distrust, DISTRUST_MOST)

    def _refused_without_a_time(self, now: float, amount: float) -> bool:
        """Without a word when to come back, only trial finds the edge: see :meth:`answered`."""
        self.step, self.unprobed = 1.0, 0.0
        if self.kind == EVEN:
            self.span *= EVEN_SLOWER
            return True
        if self.kind != NONE and not self.told and self.used + amount > self.most:
            self.most = max(self.most - amount, 0.5 * self.most)
            return True
        if self.fails == 0:
            self.failed_at = now
        self.fails += 1
        self.fails_until = now
        if self.kind != NONE and not self.told and self.fails > FAILS_MOST:
            self._distrust(now)  # it was thought to admit more, and never did
        return self.kind != NONE or self.fails > 1

    def _found(self, sent_at: float, amount: float) -> None:
        """One was admitted after several were not: the edge lies between."""
        fails, self.fails = self.fails, 0
        if fails < 2 or self.kind == EVEN:
            return
        if self.kind == NONE:
            rate = self.served / (3 * max(self.failed_at - self.began, 0.1))
            if rate * (sent_at - self.failed_at) < 5 * amount or sent_at < self.distrust_until:
                return
            first = self.began
            self.full = not self.told
            self._begin(usual_length(self.fails_until - first, sent_at - first) + first)
        elif -math.inf < self.edge <= self.fails_until:
            first = self.edge
            self._tell_apart(usual_length(self.fails_until - first, sent_at - first) + first)
            self.advance(sent_at)
            self.began = min(self.began, sent_at)

    def forget(self) -> None:
        """What was learned holds no longer."""
        self.kind = NONE
        self.former = 0.0
        self.sure = self.full = self.told = False
        self.span = self.most = math.inf
        self.edge = -math.inf
        self.held = self.top = self.late = 0.0
        self.seen_edge = self.fresh_at = -math.inf
        self.moved = 0

    def _restart(self, sent_at: float) -> None:
        """A window with edges has begun, at or before a time, since all was quiet."""
        self.kind, self.sure = FIXED, True
        self._turn_log(self.quiet_at)
        self.edge = (self.log[0] if self.log else sent_at) + self.span
        self.guessed = True

    def _see_jump(self, sent_at: float, amount: float, left: float, rate: float) -> None:
        """What is left came back at once, and no bucket fills that fast."""
        gained = left - self.seen_left
        refill = rate * (sent_at - self.left_at)
        recent = sent_at - self.began < JUMP_SECONDS or self.served <= 2 * amount
        span = self.former if recent else sent_at - self.began
        if (
            sent_at > self.left_at + TOLERANCE_SECONDS
            and gained >= JUMP_SHARE * self.held
            and gained > JUMP_TIMES * refill
            and self.distrust_until < sent_at
            and span > 0
        ):
            self.kind, self.sure, self.span, self.most = SLIDING, False, span, self.held
            if not recent:
                self.began = sent_at
            self.edge = self.began
            self.moved = 0
        if gained < refill:
            self.seen_left, self.left_at = left, sent_at

    def _suspect(
        self, now: float, edge: float, reset: float, step: float, left: float, limit: float,
        *, admitted: bool,
    ) -> None:  # fmt: skip
        if now < self.distrust_until or self.began == -math.inf:
            return
        near = STEADY_SECONDS + step
        full = MEMORY_SECONDS * (1.0 - left / limit)
        late = reset > RESET_SHARE * full + RESET_SECONDS + step
        if late or (admitted and reset < SOON_SHARE * MEMORY_SECONDS / limit - near):
            self._begin(edge)
            return
        refill = MEMORY_SECONDS * (self.edge_left - left) / limit  # so much later a bucket is full
        moved = edge - self.seen_edge
        if left > self.edge_left or self.seen_edge < now or moved > STEADY_MOVED * refill:
            self.seen_edge, self.edge_left = edge, left
        elif refill > STEADY_TIMES * near and moved <= max(near, STEADY_SHARE * refill):
            self._begin(edge)

    def _is_another(self, sent_at: float, edge: float, near: float) -> bool:
        """Whether what was granted leaves a sliding window at another time than was thought."""
        log = self.log
        if not log:
            return False
        if self.sure and edge > log[-2] + LONGER_SHARE * self.span + near:
            return True
        if self.popped_at > sent_at - TOLERANCE_SECONDS or log[0] >= sent_at:
            return False
        return edge < log[0] + SHORTER_SHARE * self.span - near

    def _begin(self, edge: float) -> None:
        """It is a window that lets more in at a time."""
        self.kind = SLIDING
        self.sure = False
        self.span = max(edge - max(self.began, self.fresh_at), LEAST_SPAN)
        self.edge = edge
        self.most = self.held if self.told else math.inf
        self.moved = 0

    def _tell_apart(self, edge: float) -> None:
        """After its first edge the next one is known: much later, or as soon as the log says."""
        gap = edge - self.edge
        self.sure = True
        if gap < SAME_SHARE * self.span:
            return
        self.kind = FIXED
        self._turn_log(self.edge)
        self.span = gap
        self.edge = edge

    def _move(self, now: float, reset: float, near: float) -> None:
        """An edge that moves with the time is that of a sliding window; or it is a bucket's."""
        if self.kind == SLIDING and abs(reset - self.span) <= near:
            self.moved = 0
            return
        self.moved += 1
        if self.moved >= MOVED_MOST:
            self._distrust(now)
