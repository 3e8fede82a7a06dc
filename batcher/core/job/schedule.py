"""When a schedule fires: which of its due times counts, what of an outage is made up for.

Decides by values alone: what times are due comes from outside, and so does the present, which is
the database's. Whether a former run is still under way is the store's to say, in the transaction
that fires.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

ON_TIME = timedelta(seconds=60)
"""How late a firing is at most that counts as on time: workers look every few seconds."""
_WINDOWS = tuple(timedelta(**span) for span in (
    {"minutes": 5}, {"hours": 2}, {"days": 1}, {"days": 31}, {"days": 366},
))  # fmt: skip


class Missed(StrEnum):
    """What becomes of due times that nobody was there for."""

    RUN_ONCE = "run-once"
    SKIP = "skip"


class DueTimes(Protocol):
    """The times at which a schedule is due."""

    def after(self, moment: datetime) -> datetime | None:
        """The first due time later than ``moment``; None where there never is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do about the due times up to now, in one step.

    ``due`` is the one that counts, the latest; the ones before it have passed unused. ``skipped``
    says why nothing is run for it, None where something is. ``next_due`` is when to decide again.
    """

    due: datetime
    skipped: str | None
    next_due: datetime | None


def decide(
    times: DueTimes, *, next_due: datetime | None, now: datetime, missed: Missed
) -> Decision | None:
    """The decision at ``now``; None where nothing is due. Due at a time is due from then on."""
    if next_due is None or now < next_due:
        return None
    due = latest(times, first=next_due, now=now)
    late = now - due
    skipped = None
    if missed is Missed.SKIP and late > ON_TIME:
        skipped = f"missed: no worker was running until {_span(late)} later"
    return Decision(due=due, skipped=skipped, next_due=times.after(now))


def latest(times: DueTimes, *, first: datetime, now: datetime) -> datetime:
    """The last due time that is not after ``now``; ``first`` is one.

    An outage may have lasted for months of minutes: so it is looked for near ``now`` first.
    """
    for window in _WINDOWS:
        if now - window <= first:
            break
        *_, last = [None, *_between(times, now - window, now)]
        if last is not None:
            return last
    *_, last = [first, *_between(times, first, now)]
    return last


def _between(times: DueTimes, start: datetime, end: datetime) -> Iterator[datetime]:
    """The due times later than ``start`` and not later than ``end``."""
    due = times.after(start)
    while due is not None and due <= end:
        yield due
        due = times.after(due)


def _span(time: timedelta) -> str:
    minutes = int(time.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 2 * 1440 else f"{minutes // 1440} days"
