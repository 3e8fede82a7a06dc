"""Failures of a job's runs in a row: they begin anew where something was done."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batcher.engine.fleet.failed_runs import FailedRuns


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_they_count_up_as_long_as_nothing_is_done(more: list[int]) -> None:
    failed, done, expected = FailedRuns(), 0, 0
    for rows in more:
        expected = expected + 1 if rows == 0 or expected == 0 else 1
        done += rows
        assert failed.count("a job", done) == expected


def test_each_job_has_its_own_count_and_one_that_ended_well_begins_anew() -> None:
    failed = FailedRuns()
    assert [failed.count("a", 5), failed.count("a", 5), failed.count("b", 5)] == [1, 2, 1]
    failed.forget("a")
    failed.forget("nobody's")
    assert [failed.count("a", 5), failed.count("b", 5)] == [1, 2]
