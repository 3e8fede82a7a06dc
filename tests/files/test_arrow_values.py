"""Arrow values as plain ones: every type has a form, and where Python has one, it is that."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.adapters.formats.arrow_times import (
    date_text,
    duration_text,
    time_text,
    timestamp_texts,
)
from batcher.adapters.formats.arrow_values import plain_column

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
INT64 = st.integers(-(2**63), 2**63 - 1)


@given(st.integers(-(2**31), 2**31 - 1))
def test_a_date_is_numpys(days: int) -> None:
    year, month, day = str(np.datetime64(days, "D")).rsplit("-", 2)
    assert date_text(days).rsplit("-", 2)[1:] == [month, day]
    assert int(date_text(days).rsplit("-", 2)[0]) == int(year)


@given(st.dates())
def test_a_date_that_python_has_is_pythons(date: dt.date) -> None:
    assert date_text((date - EPOCH.date()).days) == date.isoformat()


@given(st.datetimes(), st.sampled_from([None, "UTC", "Europe/Berlin", "+05:45", "Asia/Kolkata"]))
def test_a_timestamp_that_python_has_is_pythons(when: dt.datetime, zone: str | None) -> None:
    moment = when.replace(tzinfo=dt.UTC)
    (text,) = timestamp_texts([(moment - EPOCH) // dt.timedelta(microseconds=1)], 10**6, zone)
    if zone is None:
        assert text == when.isoformat()
    elif 2 <= when.year <= 9998:
        place = pa.lib.string_to_tzinfo(zone)
        assert text == moment.astimezone(place).isoformat()


@given(INT64, st.sampled_from([1, 10**3, 10**6, 10**9]))
def test_no_timestamp_is_beyond_all_bounds(value: int, per_second: int) -> None:
    (text,) = timestamp_texts([value], per_second, "Europe/Berlin")
    assert text is not None
    (text,) = timestamp_texts([value], per_second, None)
    assert text is not None
    date, time = text.split("T")
    back = np.datetime64(date.lstrip("+"), "D").astype(int).item() * 86_400
    hours, minutes, rest = time.split(":")
    seconds = Decimal(back) + int(hours) * 3600 + int(minutes) * 60 + Decimal(rest)
    assert seconds * per_second == value


def test_nanoseconds_and_odd_years() -> None:
    assert timestamp_texts([1_700_000_000_123_456_789, 1_000, None], 10**9, None) == [
        "2023-11-14T22:13:20.123456789",
        "1970-01-01T00:00:00.000001",
        None,
    ]
    assert date_text(-719_528) == "0000-01-01"
    assert date_text(-719_529) == "-0001-12-31"
    assert date_text(2_932_897) == "+10000-01-01"


def test_a_zone_that_nobody_knows_is_said_in_utc() -> None:
    assert timestamp_texts([0], 1, "Mars/Phobos") == ["1970-01-01T00:00:00+00:00"]


@given(st.times())
def test_a_time_is_pythons(time: dt.time) -> None:
    value = ((time.hour * 60 + time.minute) * 60 + time.second) * 10**6 + time.microsecond
    assert time_text(value, 10**6) == time.isoformat()


@given(st.timedeltas())
def test_a_duration_is_pythons(duration: dt.timedelta) -> None:
    assert duration_text(duration // dt.timedelta(microseconds=1), 10**6) == str(duration)


def test_a_duration_may_be_longer_or_finer_than_pythons() -> None:
    assert duration_text(2**62, 1) == "53375995583650 days, 7:45:04"
    assert duration_text(-1, 10**9) == "-1 day, 23:59:59.999999999"


WORDS = pa.array(["b", "a"])
UTC = ZoneInfo("UTC")
CASES: list[tuple[Any, list[Any]]] = [
    (pa.nulls(1), [None]),
    (pa.array([1.5], pa.float16()), [1.5]),
    (pa.array([2**64 - 1], pa.uint64()), [2**64 - 1]),
    (pa.array([Decimal("1.50")], pa.decimal32(5, 2)), ["1.50"]),
    (pa.array([Decimal("1e66")], pa.decimal256(76, 0)), ["1" + "0" * 66]),
    (pa.array([1], pa.date64()), ["1970-01-01"]),
    (pa.array([1], pa.time32("ms")), ["00:00:00.001000"]),
    (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
    (pa.array([1], pa.duration("ns")), ["0:00:00.000000001"]),
    (pa.array([(1, -2, -3)], pa.month_day_nano_interval()), ["P1M-2DT-0.000000003S"]),
    (pa.array([b"\xff"]), ["/w=="]),
    (pa.array([b"\xff"], pa.large_binary()), ["/w=="]),
    (pa.array([b"\xff"], pa.binary_view()), ["/w=="]),
    (pa.array([b"ab"], pa.binary(2)), ["YWI="]),
    (pa.array(["é"], pa.large_string()), ["é"]),
    (pa.array(["é"], pa.string_view()), ["é"]),
    (pa.array([[1], [], [2, None]], pa.list_(pa.duration("s"))),
     [["0:00:01"], [], ["0:00:02", None]]),
    (pa.array([[1], [2, 3]], pa.large_list(pa.int8())), [[1], [2, 3]]),
    (pa.array([[1, 2], [3, 4]], pa.list_(pa.int8(), 2)), [[1, 2], [3, 4]]),
    (pa.array([[1], [2, 3]], pa.list_view(pa.int8())), [[1], [2, 3]]),
    (pa.array([[1], [2, 3]], pa.large_list_view(pa.int8())), [[1], [2, 3]]),
    (pa.array([{"a": 1, "t": 0}, {"a": None, "t": None}],
              pa.struct([("a", pa.int8()), ("t", pa.timestamp("ns"))])),
     [{"a": 1, "t": "1970-01-01T00:00:00"}, {"a": None, "t": None}]),
    (pa.array([{}], pa.struct([])), [{}]),
    (pa.array([[("a", 1)], [], [("b", None), ("b", 2)]], pa.map_(pa.string(), pa.int8())),
     [[["a", 1]], [], [["b", None], ["b", 2]]]),
    (WORDS.dictionary_encode(), ["b", "a"]),
    (pa.array([5, 7], pa.date32()).dictionary_encode(), ["1970-01-06", "1970-01-08"]),
    (pa.RunEndEncodedArray.from_arrays([1, 3], ["a", "b"]), ["a", "b", "b"]),
    (pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), WORDS]), [1, "a"]),
    (pa.UnionArray.from_dense(pa.array([1, 0, 1], pa.int8()), pa.array([0, 0, 1], pa.int32()),
                              [pa.array([1]), WORDS]), ["b", 1, "a"]),
    (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0" * 16], pa.binary(16))),
     ["30303030-3030-3030-3030-303030303030"]),
    (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, None], pa.int8())),
     [True, False, None]),
    (pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}"])), ["{}"]),
    (pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2]], pa.list_(pa.int32(), 2))),
     [[1, 2]]),
    (pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "point", "geo"), pa.array([b"q"])),
     ["cQ=="]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("array", "values"), CASES, ids=lambda case: str(getattr(case, "type", ""))
)
def test_every_type_has_a_form(array: Any, values: list[Any]) -> None:
    assert plain_column(array) == values
    assert plain_column(pa.chunked_array([array, array])) == values * 2
    for start in range(len(array)):
        assert plain_column(array.slice(start, 1)) == values[start : start + 1]
    assert plain_column(array.slice(1)) == values[1:]


NULLABLE = [case for case in CASES if not pa.types.is_union(case[0].type)
            and not pa.types.is_run_end_encoded(case[0].type)]  # fmt: skip


@pytest.mark.parametrize(
    ("array", "values"), NULLABLE, ids=lambda case: str(getattr(case, "type", ""))
)
def test_a_null_is_none_in_every_type(array: Any, values: list[Any]) -> None:
    with_null = pa.concat_arrays([array, pa.nulls(1, array.type), array])
    assert plain_column(with_null) == [*values, None, *values]
    assert plain_column(with_null.slice(len(array))) == [None, *values]


def test_numbers_that_are_none_stay_what_they_are() -> None:
    nan, inf = plain_column(pa.array([float("nan"), float("inf")]))
    assert (nan != nan, inf) == (True, float("inf"))
