"""Numbers, money and times as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from batcher.core.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)([smhdw])")


def count(number: int, noun: str | None = None, plural: str | None = None) -> str:
    """``1,234``, or with a noun ``1 row`` and ``2 rows``."""
    if noun is None:
        return f"{number:,}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def money(amount: Decimal | None) -> str:
    """Dollars to the cent, small amounts to three digits; None is a price that nobody knows."""
    if amount is None:
        return "unknown price"
    if amount == 0:
        return "$0.00"
    if amount >= 1:
        return f"${amount:,.2f}"
    places = max(2, 2 - amount.adjusted())
    return f"${amount:.{places}f}"


def duration(seconds: float) -> str:
    """``0.8 s``, ``42 s``, ``3 min 20 s``, ``2 h 05 min``, ``3 d 4 h``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 2 * 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def rate(per_second: float) -> str:
    """``850 rows/s``; slow ones by the minute, so that they are not 0."""
    if per_second <= 0:
        return "0 rows/s"
    if per_second < 0.95:
        return f"{per_second * 60:.1f} rows/min"
    return f"{per_second:,.0f} rows/s" if per_second >= 9.95 else f"{per_second:.1f} rows/s"


def share(part: float) -> str:
    """A share of 1 in per cent; a part is never rounded to nothing nor to the whole."""
    if 0 < part < 0.01:
        return "<1%"
    if 0.99 < part < 1:
        return "99%"
    return f"{part:.0%}"


def moment(at: datetime) -> str:
    """A time in the local zone, with the date where that is another day."""
    local = at.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"


def parse_since(text: str, now: datetime) -> datetime:
    """The time that lies a span before ``now``, or a date or time as ISO 8601 has it.

    One without a zone is local.

    Raises:
        UsageError: it is neither, or out of all bounds.
    """
    match = _SPAN.fullmatch(text.strip())
    try:
        if match is not None:
            return now - timedelta(seconds=float(match[1]) * _UNITS[match[2]])
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise UsageError(
            f"--since {text!r} is neither a span of time nor a date: write 7d, 12h, 2026-11-28 or "
            "2026-11-28T09:30"
        ) from exc


def parse_span(text: str) -> float:
    """Seconds from ``30d``, ``12h``, ``90m``, ``45s`` or ``2w``.

    Raises:
        UsageError: it is none of these.
    """
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a span of time: write 30d, 12h, 90m, 45s or 2w")
    return float(match[1]) * _UNITS[match[2]]
