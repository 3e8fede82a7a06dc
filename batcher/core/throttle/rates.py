"""How fast, before a limit has shown; what 429s leave of a quota's rates, and how these come back.

Where limits are told, a 429 leaves a share of them, which grows back; where none is, what was
served is measured and tried again from below. Works on a quota's state and keeps none of its own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from batcher.core.throttle.bucket import MINUTE
from batcher.core.throttle.refusals import MEASURE_SECONDS

if TYPE_CHECKING:
    from batcher.core.throttle.quota import QuotaState

FIRST_BURST = 16.0
"""How many requests a second are released at first while no limit has shown."""
GROWTH = 1.25
"""How much more that becomes each second for each request released,"""
GROWTH_QUICK = 0.18
"""or in the time that the quickest answer took, if that is more,"""
GROWTH_MOST = 7.5
"""up to this:"""
GROWTH_AT_ONCE = 0.075
"""where answers come at once, a 429 takes no less time than they, and in that time no more than
this is released."""
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


def recover(state: QuotaState, now: float) -> None:
    """Let the rates come back, a little each second, and the memory of refunds fade."""
    if now > state.faded_at:
        if state.tokens.refunds > 0:
            state.tokens.forget_refunds(now - state.faded_at)
        state.faded_at = now
    if now > state.factor_at:
        if state.factor < 1.0:
            recovery = CHANCE_RECOVERY if state.refusals.by_chance else state.recovery
            state.factor = min(1.0, state.factor + recovery * (now - state.factor_at))
        elif state.requests.guess < math.inf:
            _grow(state, now, min(now - state.factor_at, MINUTE))
        state.factor_at = now
    if state.factor == 1.0:
        state.recovery = RECOVERY


def _grow(state: QuotaState, now: float, seconds: float) -> None:
    """Try a little more than the guess."""
    guess = state.requests.guess
    if state.refusals.by_chance:
        growth = CHANCE_GROWTH
    elif guess < GUESS_CLOSE * state.refusals.measured:
        growth = min(GUESS_RETURN, GUESS_RETURN_REQUEST * guess)
    else:
        growth = GUESS_GROWTH
    calm = max(1.0, (now - state.paused_until) / GUESS_SECONDS)
    guess *= math.exp(min(10.0, growth * calm * seconds))
    state.requests.set_guess(guess)
    if guess > GUESS_MOST:
        state.requests.set_rate(ceiling=state.requests.ceiling, limit=state.requests.limit)


def lower(state: QuotaState, now: float) -> None:
    """Take the first 429 of an epoch to heart, unless it is mere chance.

    Where nobody told a limit, what was served since the last one is tried again from below. (Up
    to the very first 429 that is too much, since the bucket was full, but it ends the bursts.)
    """
    requests, tokens, refusals = state.requests, state.tokens, state.refusals
    known = requests.known or tokens.known
    refusals.judge(state.factor if known else requests.guess)
    served = None
    first = not known and requests.guess == math.inf
    if refusals.served > 0 and (first or now - refusals.at >= MEASURE_SECONDS):
        rates = (requests.rate, tokens.rate) if known else (1.0, math.inf)
        served = refusals.measure(now, *rates)
    if refusals.by_chance:
        return
    if served is not None and not known:
        requests.set_guess(GUESS * served)
        state.factor = 1.0
    elif requests.limited or tokens.limited:
        state.factor = max(FLOOR, state.factor * DECREASE)
    state.factor_at = state.paused_until


def growing_wait(state: QuotaState) -> float:
    """Seconds until the next release while no limit has shown: more and more, not all at once.

    A limit that nobody tells shows by a 429, and what is on its way then is refused as well.
    """
    if state.requests.reserved == 0:
        return 0.0
    quick = state.quick
    growth = max(GROWTH, min(GROWTH_QUICK / quick, GROWTH_MOST), GROWTH_AT_ONCE / quick)
    return 1.0 / (growth * (state.requests.reserved + FIRST_BURST))
