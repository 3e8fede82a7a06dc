"""A reading in words: what the plain progress line says, and what both views say of trouble."""

from __future__ import annotations

from batcher.cli.figures import count, duration, money, rate, share
from batcher.cli.gauge import Reading


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
        parts.append(cost(reading))
    if reading.in_flight:
        parts.append(f"{reading.in_flight} in flight")
    if reading.rate_limited:
        parts.append(count(reading.rate_limited, "429"))
    if reading.retried:
        parts.append(count(reading.retried, "retry", "retries"))
    parts += [text for text in (limits(reading), trouble(reading)) if text]
    return ", ".join(parts)


def cost(reading: Reading) -> str:
    """``$0.12 of about $3.40``."""
    if reading.cost is None:
        return "cost unknown (no price)"
    if reading.projected is None or not reading.left:
        return money(reading.cost)
    return f"{money(reading.cost)} of about {money(reading.projected)}"


def limits(reading: Reading) -> str:
    """How much of the limits is in use; empty where there are none."""
    return ", ".join(
        f"{share(part)} of {count(round(limit))} {noun}/min"
        for part, limit, noun in (
            (reading.requests_share, reading.requests_per_minute, "requests"),
            (reading.tokens_share, reading.tokens_per_minute, "tokens"),
        )
        if part is not None and limit is not None
    )


def trouble(reading: Reading) -> str:
    """What holds the run up, if something does."""
    if reading.outage:
        return "the provider does not answer; trying again, no row fails for it"
    if reading.pause_seconds >= 1:
        return f"the provider said slow down: waiting {duration(reading.pause_seconds)}"
    return ""
