"""Due times from a cron expression in a time zone, by cronsim, which does as Debian's cron does.

Around a change of the clocks: where minute and hour are both fixed (neither begins with ``*``), a
time that does not exist is due once, as soon as the gap is over, and one that exists twice is due
the first time. Anything more frequent goes by real time: an hourly schedule has no 24 firings that
day but 23 or 25, and ``*/10 2 * * *`` none in an hour that is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from batcher.core.errors import UsageError

_FIELDS = 5
_EXAMPLE = "minute hour day-of-month month day-of-week, such as '0 3 * * *'"


class CronTimes:
    """See :class:`batcher.core.job.schedule.DueTimes`."""

    def __init__(self, expression: str, timezone: str) -> None:
        """``timezone`` is a name of the IANA's database.

        Raises:
            UsageError: either means nothing.
        """
        self._zone = _zone(timezone)
        self._expression = expression
        if len(expression.split()) != _FIELDS:
            raise UsageError(f"{expression!r} is not a cron expression of five fields: {_EXAMPLE}")
        try:
            CronSim(expression, datetime.now(UTC))
        except CronSimError as exc:
            fault = str(exc).lower()
            raise UsageError(
                f"{expression!r} is not a cron expression ({fault}): {_EXAMPLE}"
            ) from exc

    def __repr__(self) -> str:
        return f"<CronTimes {self._expression!r} in {self._zone.key}>"

    def after(self, moment: datetime) -> datetime | None:
        """See :meth:`batcher.core.job.schedule.DueTimes.after`; in UTC."""
        # cronsim counts on from the time on the wall, which in an hour that comes twice may lead
        # to a due time of the first round, in the past.
        for due in CronSim(self._expression, moment.astimezone(self._zone)):
            if (found := due.astimezone(UTC)) > moment:
                return found
        return None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        lower = {zone.lower(): zone for zone in available_timezones()}
        close = get_close_matches(name.lower(), lower, n=1)
        meant = f" (did you mean {lower[close[0]]}?)" if close else ""
        raise UsageError(
            f"there is no time zone {name!r}{meant}: name one like Europe/Berlin, or UTC"
        ) from exc
