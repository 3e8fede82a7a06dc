"""Dates and times as ISO 8601 text, out of whole numbers of any size.

Texts are those of Python's ``isoformat`` where that has one: a fraction only if there is one, of
six digits, or of nine where the last three are not zero. Years beyond 9999 and before 0 are written
with a sign, as ISO 8601 wants it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

import pyarrow as pa

_DAY_SECONDS: Final = 86_400
_NANOSECONDS: Final = 10**9
_EPOCH: Final = 719_468
"""Days from 1 March of year 0 to 1 January 1970."""
_ERA_DAYS: Final = 146_097
_ERA_YEARS: Final = 400
_FIRST_SECOND: Final = -62_135_596_800 + _DAY_SECONDS
_LAST_SECOND: Final = 253_402_300_799 - _DAY_SECONDS
"""What ``datetime`` reaches, less a day for the zone."""


def timestamp_texts(
    values: Sequence[int | None], per_second: int, zone: str | None
) -> list[str | None]:
    """Counts since 1970, so many a second; with a zone, at its own time and with its offset."""
    place = None if zone is None else _zone(zone)
    return [
        None if value is None else _timestamp_text(value, per_second, place) for value in values
    ]


def date_text(days: int) -> str:
    """A number of days since 1970."""
    # Howard Hinnant, "chrono-compatible low-level date algorithms": civil_from_days.
    era, day = divmod(days + _EPOCH, _ERA_DAYS)
    year = (day - day // 1460 + day // 36524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month += 3 if month < 10 else -9
    year += era * _ERA_YEARS + (month <= 2)
    shown = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    return f"{shown}-{month:02d}-{day:02d}"


def time_text(value: int, per_second: int) -> str:
    """A time of the day, as a count since midnight."""
    seconds, fraction = divmod(value, per_second)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{_fraction_text(fraction, per_second)}"


def duration_text(value: int, per_second: int) -> str:
    """A duration as Python writes its own: ``1 day, 0:00:01.500000``."""
    seconds, fraction = divmod(value, per_second)
    days, rest = divmod(seconds, _DAY_SECONDS)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    text = f"{hours}:{minutes:02d}:{seconds:02d}{_fraction_text(fraction, per_second)}"
    return f"{days} day{'' if abs(days) == 1 else 's'}, {text}" if days else text


def interval_text(months: int, days: int, nanoseconds: int) -> str:
    """An interval as an ISO 8601 duration: ``P1M2DT0.000000003S``."""
    seconds, fraction = divmod(abs(nanoseconds), _NANOSECONDS)
    sign = "-" if nanoseconds < 0 else ""
    part = f".{fraction:09d}" if fraction else ""
    return f"P{months}M{days}DT{sign}{seconds}{part}S"


def _timestamp_text(value: int, per_second: int, place: tzinfo | None) -> str:
    seconds, fraction = divmod(value, per_second)
    offset = ""
    if place is not None:
        offset = "+00:00"
        if _FIRST_SECOND <= seconds <= _LAST_SECOND:
            there = datetime.fromtimestamp(seconds, UTC).astimezone(place)
            shift = there.utcoffset()
            assert shift is not None
            seconds += shift.days * _DAY_SECONDS + shift.seconds
            offset = there.isoformat()[len("2000-01-01T00:00:00") :]
    days, time = divmod(seconds, _DAY_SECONDS)
    text = time_text(time * per_second + fraction, per_second)
    return f"{date_text(days)}T{text}{offset}"


def _zone(name: str) -> tzinfo:
    """The zone of that name; UTC for one that is not known here."""
    try:
        place: tzinfo = pa.lib.string_to_tzinfo(name)
    except (pa.ArrowException, ValueError, LookupError, OSError):
        return UTC
    return place


def _fraction_text(fraction: int, per_second: int) -> str:
    if not fraction:
        return ""
    nanoseconds = fraction * (_NANOSECONDS // per_second)
    return f".{nanoseconds // 1000:06d}" if nanoseconds % 1000 == 0 else f".{nanoseconds:09d}"
