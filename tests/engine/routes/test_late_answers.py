"""A second route, whose answers come hours later, in groups and in any order: the same results.

It is no part of the package and is run by a real runner: what it shows is that the seam is one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.core.job.spec import JobSpec
from tests.engine.routes.collecting_route import Terms, collecting
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Ran, Work, audit, open_work, words

HALF_AN_HOUR = 1800.0
FAULTY = (
    *words(12),
    "",
    *words(2, marker="[[fault=400]]"),
    *words(6, marker="[[fault=500*1]]"),
    *words(2, marker="[[fault=garbage*1]]"),
    *words(2, marker="[[fault=429*2]]"),
    *words(6, marker="one more"),
)
"""Texts of which one is empty, two are refused, and ten fail at first."""
LABELLED = (
    *words(8),
    *words(3, marker="[[fault=invalid_json*1]]"),
    *words(2, marker="[[fault=invalid_json]]"),
)

terms = st.builds(
    Terms,
    size=st.integers(1, 40),
    most_seconds=st.sampled_from([0.0, 30.0, HALF_AN_HOUR]),
    expiring=st.sampled_from([0, 0, 20]),
    seed=st.integers(0, 99),
)


@asynccontextmanager
async def a_place(database: str = "memory://", **config: Any) -> AsyncIterator[Work]:
    with TemporaryDirectory() as name:
        async with open_work(Path(name), database=database, **config) as work:
            yield work


def spec_of(work: Work, kind: str, texts: Sequence[str]) -> JobSpec:
    spec: JobSpec = getattr(work, kind)(texts)
    return spec


async def online(kind: str, texts: Sequence[str]) -> Ran:
    """What the online route makes of the same rows."""
    async with a_place() as work:
        return await work.run(spec_of(work, kind, texts))


def without_tries(ran: Ran) -> list[dict[str, Any]]:
    """Dead letters but for their attempts."""
    return [{**letter, "attempts": 0} for letter in ran.errors]


@pytest.mark.parametrize(
    ("kind", "texts"), [("chat", FAULTY), ("embed", FAULTY), ("classify", LABELLED)]
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(terms=terms)
def test_in_any_groups_and_any_order_each_row_has_its_own_result_once(
    kind: str, texts: Sequence[str], terms: Terms, here: Path
) -> None:
    @in_virtual_time
    async def both() -> tuple[Ran, Ran]:
        expected = await online(kind, texts)
        with collecting(terms):
            async with a_place() as work:
                ran = await work.run(spec_of(work, kind, texts))
                audit(work, ran.report)
        return expected, ran

    expected, ran = both()
    assert ran.records == expected.records
    assert without_tries(ran) == without_tries(expected)
    assert max(terms.groups) <= terms.size
