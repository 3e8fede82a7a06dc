"""Due times in zones whose clocks change (`batcher.adapters.system.cron.CronTimes`)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.system.cron import CronTimes
from batcher.core.errors import UsageError

CHANGES = [
    # zone; day of the gap, what is left out, when it is over; day of the repeated time, one of it
    ("Europe/Berlin", "2026-03-29", "02:30", "03:00", "2026-10-25", "02:30"),
    ("America/New_York", "2026-03-08", "02:30", "03:00", "2026-11-01", "01:30"),
    ("Australia/Lord_Howe", "2026-10-04", "02:15", "02:30", "2026-04-05", "01:45"),
    ("America/Santiago", "2026-09-06", "00:30", "01:00", "2026-04-04", "23:30"),
    ("Africa/Cairo", "2026-04-24", "00:00", "01:00", "2026-10-29", "23:15"),
]


def local(zone: str, text: str, *, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


def daily(zone: str, time: str) -> CronTimes:
    hour, minute = map(int, time.split(":"))
    return CronTimes(f"{minute} {hour} * * *", zone)


def due_within(times: CronTimes, start: datetime, end: datetime) -> list[datetime]:
    found = []
    due = times.after(start)
    while due is not None and due < end:
        found.append(due)
        due = times.after(due)
    return found


def day_of(zone: str, text: str) -> tuple[datetime, datetime]:
    """From six hours before a day to six hours after it: no other due time of a day is in it."""
    noon = local(zone, f"{text}T12:00")
    return noon - timedelta(hours=14), noon + timedelta(hours=11)


@pytest.mark.parametrize(("zone", "day", "missing", "over"), [c[:4] for c in CHANGES])
def test_a_time_that_does_not_exist_is_due_once_right_after_the_gap(
    zone: str, day: str, missing: str, over: str
) -> None:
    (due,) = due_within(daily(zone, missing), *day_of(zone, day))
    assert due == local(zone, f"{day}T{over}")
    before = (due - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
    assert before.utcoffset() != due.astimezone(ZoneInfo(zone)).utcoffset()


@pytest.mark.parametrize(("zone", "day", "twice"), [(c[0], *c[4:]) for c in CHANGES])
def test_a_time_that_exists_twice_is_due_once_the_first_time(
    zone: str, day: str, twice: str
) -> None:
    first, second = (local(zone, f"{day}T{twice}", fold=fold) for fold in (0, 1))
    assert first.astimezone(UTC) < second.astimezone(UTC)
    start = first.astimezone(UTC) - timedelta(hours=3)
    assert due_within(daily(zone, twice), start, start + timedelta(hours=20)) == [
        first.astimezone(UTC)
    ]


@pytest.mark.parametrize(("zone", "day", "twice"), [(c[0], *c[4:]) for c in CHANGES])
def test_asked_within_the_repeated_hour_the_next_is_never_in_the_past(
    zone: str, day: str, twice: str
) -> None:
    moment = local(zone, f"{day}T{twice}", fold=1).astimezone(UTC) - timedelta(minutes=10)
    due = daily(zone, twice).after(moment)
    assert due is not None
    assert due - moment > timedelta(hours=20)


def test_several_times_within_one_gap_are_due_once_together() -> None:
    start, end = day_of("Europe/Berlin", "2026-03-29")
    due = due_within(CronTimes("0,15,30 2 * * *", "Europe/Berlin"), start, end)
    assert due == [local("Europe/Berlin", "2026-03-29T03:00")]


def test_what_is_due_every_hour_goes_by_real_time() -> None:
    hourly = CronTimes("30 * * * *", "Europe/Berlin")
    for day, firings in (("2026-03-29", 23), ("2026-06-01", 24), ("2026-10-25", 25)):
        midnight = local("Europe/Berlin", f"{day}T00:00")
        following = (midnight + timedelta(days=1)).astimezone(UTC)
        due = due_within(hourly, midnight.astimezone(UTC), following)
        assert len(due) == firings
        assert {later - sooner for sooner, later in pairwise(due)} == {timedelta(hours=1)}


def test_minutes_by_a_star_go_by_real_time_even_in_a_fixed_hour() -> None:
    times = CronTimes("*/30 2 * * *", "Europe/Berlin")
    assert due_within(times, *day_of("Europe/Berlin", "2026-03-29")) == []
    assert len(due_within(times, *day_of("Europe/Berlin", "2026-10-25"))) == 4


def test_a_day_that_a_zone_left_out_is_made_up_for() -> None:
    times = daily("Pacific/Apia", "10:00")  # there was no 30 December 2011 in Samoa
    start = local("Pacific/Apia", "2011-12-29T11:00").astimezone(UTC)
    assert due_within(times, start, start + timedelta(days=1)) == [
        local("Pacific/Apia", "2011-12-31T00:00"),
        local("Pacific/Apia", "2011-12-31T10:00"),
    ]


def test_a_zone_without_changes_is_due_at_the_same_time_every_day() -> None:
    times = daily("Asia/Kolkata", "03:00")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    due = due_within(times, start, start + timedelta(days=365))
    assert len(due) == 365
    assert {moment.strftime("%H:%M") for moment in due} == {"21:30"}


ZONES = st.sampled_from([change[0] for change in CHANGES] + ["UTC", "Asia/Kolkata"])


@given(
    ZONES,
    st.integers(0, 23),
    st.integers(0, 59),
    st.dates(date(2025, 1, 1), date(2027, 12, 1)),
)
def test_a_daily_time_is_due_once_on_every_date(
    zone: str, hour: int, minute: int, day: date
) -> None:
    times = CronTimes(f"{minute} {hour} * * *", zone)
    start = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)) - timedelta(seconds=1)
    due = due_within(times, start.astimezone(UTC), start.astimezone(UTC) + timedelta(days=20))
    dates = [moment.astimezone(ZoneInfo(zone)).date() for moment in due]
    assert [later - sooner for sooner, later in pairwise(dates)] == [timedelta(days=1)] * (
        len(dates) - 1
    )
    assert len(dates) in {19, 20, 21}


@given(
    ZONES,
    st.sampled_from(["* * * * *", "*/7 * * * *", "0 */3 * * *", "5,50 1-3 * * *", "0 0 * * 0"]),
    st.integers(0, 365 * 86_400),
)
def test_the_next_time_is_always_later_and_nothing_lies_between(
    zone: str, cron: str, seconds: int
) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    times = CronTimes(cron, zone)
    due = times.after(moment)
    assert due is not None
    assert due > moment
    assert due.second == due.microsecond == 0
    between = moment + (due - moment) / 2
    assert times.after(between) == due


def test_a_date_that_comes_every_four_years_is_waited_for() -> None:
    due = CronTimes("0 12 29 2 *", "UTC").after(datetime(2026, 1, 1, tzinfo=UTC))
    assert due == datetime(2028, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("", "not a cron expression of five fields"),
        ("0 3 * *", "not a cron expression of five fields"),
        ("0 0 3 * * *", "not a cron expression of five fields"),
        ("@daily", "not a cron expression of five fields"),
        ("61 3 * * *", "bad minute"),
        ("0 3 * * MOO", "bad day-of-week"),
        ("0 3 31 2 *", "bad day-of-month"),
        ("0 3 */0 * *", "bad day-of-month"),
    ],
)
def test_what_is_no_cron_expression_is_the_users_mistake(cron: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CronTimes(cron, "UTC")


@pytest.mark.parametrize("zone", ["Europe/Berln", "europe/berlin", "", "../etc/passwd", "/", "\0"])
def test_what_is_no_zone_is_the_users_mistake(zone: str) -> None:
    with pytest.raises(UsageError, match="there is no time zone"):
        CronTimes("0 3 * * *", zone)


def test_a_zone_that_is_meant_is_named() -> None:
    with pytest.raises(UsageError, match=r"did you mean Europe/Berlin\?"):
        CronTimes("0 3 * * *", "europe/berlin")


def test_its_repr_says_what_it_is() -> None:
    assert repr(CronTimes("0 3 * * *", "UTC")) == "<CronTimes '0 3 * * *' in UTC>"
