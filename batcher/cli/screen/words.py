"""A reading in words: what the plain progress line says, and what both views say of trouble."""

from __future__ import annotations

from textwrap import shorten

from batcher.cli.figures import count, duration, money, rate, share
from batcher.cli.screen.gauge import Reading

_SAID_WIDTH = 160
_NO_ANSWER = "the provider does not answer"


def waiting_line(activity: str, elapsed: float) -> str:
    """What is done before anything is sent, and for how many seconds once it takes long."""
    return activity + (f", {duration(elapsed)}" if elapsed > 1 else "")


def progress_line(reading: Reading) -> str:
    """One line without colours or positions, for logs."""
    parts = [
        f"{reading.phase}: {count(reading.done)} of {count(reading.rows, 'row')}"
        f" ({share(reading.done / reading.rows if reading.rows else 1.0)})"
    ]
    if reading.failed:
        parts.append(f"{count(reading.failed)} failed")
    if reading.phase == "sending" and reading.rows_per_second:
        parts.append(rate(reading.rows_per_second))
        if reading.seconds_left is not None and reading.left:
            parts.append(f"{duration(reading.seconds_left)} left")
    if reading.requests:
        parts.append(costs(reading)[0])
    if reading.in_flight:
        parts.append(f"{reading.in_flight} in flight")
    parts += [*delays(reading), *limits(reading), *troubles(reading)[:1]]
    return ", ".join(parts)


def costs(reading: Reading) -> tuple[str, ...]:
    """``$0.12 of about $3.40``, and the same more briefly."""
    if reading.cost is None:
        return ("cost unknown (no price)", "cost unknown")
    spent = money(reading.cost)
    if reading.projected is None or not reading.left:
        return (spent,)
    return (f"{spent} of about {money(reading.projected)}", spent)


def delays(reading: Reading) -> list[str]:
    """The answers that were none, and what was sent once more; empty where there were none."""
    words = []
    if reading.rate_limited:
        words.append(f"{count(reading.rate_limited)} rate limited")
    if reading.retried:
        last = f" (last: {reading.last_fault})" if reading.last_fault else ""
        words.append(f"{count(reading.retried, 'retry', 'retries')}{last}")
    return words


def limits(reading: Reading) -> list[str]:
    """How much of each limit is in use; empty where there are none."""
    return [
        f"{share(part)} of {count(round(limit))} {noun}/min"
        for part, limit, noun in (
            (reading.requests_share, reading.requests_per_minute, "requests"),
            (reading.tokens_share, reading.tokens_per_minute, "tokens"),
        )
        if part is not None and limit is not None
    ]


def troubles(reading: Reading) -> tuple[str, ...]:
    """What holds the run up, and the same more briefly; empty where nothing does."""
    if reading.unreached:
        brief = reading.unreached.partition(" (")[0]
        return (f"{brief}; trying again; no row fails because of this", brief, _NO_ANSWER)
    if reading.outage:
        return (
            f"{_NO_ANSWER}; trying again; no row fails because of this",
            _NO_ANSWER,
        )
    if reading.pause_seconds >= 1:
        left = duration(reading.pause_seconds)
        brief = f"slowed down: waiting {left}"
        slow = f"the provider said slow down: waiting {left}"
        if not reading.last_limit:
            return (slow, brief)
        said = shorten(reading.last_limit, _SAID_WIDTH, placeholder=" …")
        return (f"{slow} ({said})", slow, brief)
    return ()
