"""A second route, whose answers come hours later, in groups and in any order: the same results.

It is no part of the package and is run by a real runner: what it shows is that the seam is one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.core.job.spec import JobSpec
from tests.engine.fleet.crew import completed, worker
from tests.engine.routes.collecting_route import Terms, collecting
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import MIXED, Ran, Work, audit, cancelled_ever_later, open_work, words

A_WHILE = 300.0
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
    most_seconds=st.sampled_from([0.0, 30.0, A_WHILE]),
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
                if kind != "classify":  # a repair asks about the same text twice
                    audit(work, ran.report)
        return expected, ran

    expected, ran = both()
    assert ran.records == expected.records
    assert without_tries(ran) == without_tries(expected)
    assert max(terms.groups) <= terms.size


# --- stopped in the middle ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@in_virtual_time
async def test_interrupted_again_and_again_it_ends_with_the_same_results(
    seed: int, here: Path
) -> None:
    """What was submitted is left, and in doubt; what was only gathered was never sent."""
    expected = await online("embed", FAULTY)
    chance = Random(seed)
    with collecting(Terms(size=4, most_seconds=120.0, seed=seed)) as terms:
        async with open_work(here, database="b.db") as work:
            spec = work.embed(FAULTY, max_inputs=1, grace_seconds=chance.choice([0.0, 60.0]))
            interrupted = 0
            while True:
                task = asyncio.create_task(work.run(spec))
                await asyncio.sleep(chance.uniform(0.0, 40.0) * (interrupted + 1))
                if work.runner.interrupt():
                    interrupted += 1
                ran = await task
                if ran.report.status == "complete":
                    break
                assert ran.report.exit_code == 130
            assert interrupted >= 2
            assert len(terms.groups) >= 3
            audit(work, ran.report)
    assert ran.records == expected.records
    assert ran.failed.keys() == expected.failed.keys()


@in_virtual_time
async def test_cancelled_at_any_moment_it_loses_nothing_and_owns_up(here: Path) -> None:
    """As in a crash, nothing of what was in flight is written down: the next run finds that out."""
    texts = list(words(12))
    with collecting(Terms(size=3, most_seconds=0.05, linger_seconds=0.02)):
        async with open_work(here, database="b.db", latency_ms=5) as work:
            ran, cancelled = await cancelled_ever_later(work, work.chat(texts), count(1, 11))
            assert cancelled >= 3
            assert ran.done == list(range(12))
            audit(work, ran.report)


# --- many workers ---------------------------------------------------------------------------------


@in_virtual_time
async def test_workers_hold_their_shards_for_as_long_as_answers_take(here: Path) -> None:
    """Three times as long as a lease: it is renewed, and nobody else asks for the same."""
    database = f"sqlite:///{here}/b.db"
    async with open_work(here, database=database) as work:
        expected = await work.run(work.chat(MIXED))
        with collecting(Terms(size=7, most_seconds=90.0)) as terms:
            async with AsyncExitStack() as stack:
                for _ in range(2):
                    await stack.enter_async_context(worker(database))
                report = await work.runner.submit(work.chat(MIXED), fresh=True)
                ran = await completed(work, report.job)
        assert ran.records == expected.records
        assert ran.failed.keys() == expected.failed.keys()
        assert ran.report.doubt_requests == 0
        assert len(terms.groups) > 2


# --- what failures do -----------------------------------------------------------------------------


@in_virtual_time
async def test_hours_without_an_answer_are_no_outage(here: Path) -> None:
    """All fail at first, and the second answers come long after an outage would pause the job."""
    with collecting(Terms(size=50, most_seconds=1500.0, seed=5)) as terms:
        async with open_work(here) as work:
            ran = await work.run(work.chat(list(words(8, marker="[[fault=500*2]]"))))
            assert work.now() > 1000.0 + 900.0
    assert ran.report.exit_code == 0, ran.report.reason
    assert ran.done == list(range(8))
    assert len(terms.groups) >= 3


@in_virtual_time
async def test_a_provider_that_never_serves_anybody_pauses_the_job_in_the_end(here: Path) -> None:
    with collecting(Terms(size=50, most_seconds=60.0)):
        async with open_work(here) as work:
            texts = list(words(30, marker="[[fault=500]]"))
            ran = await work.run(work.chat(texts, outage_timeout=120.0))
    assert (ran.report.exit_code, ran.report.rows_failed) == (5, 0)
    assert "no request succeeded" in (ran.report.reason or "")


@in_virtual_time
async def test_a_wrong_key_stops_the_run_and_fails_no_row(here: Path) -> None:
    with collecting(Terms(size=5, most_seconds=60.0)):
        async with open_work(here) as work:
            ran = await work.run(work.chat(list(words(40, marker="[[fault=401]]"))))
            sent = work.stats.requests
    assert (ran.report.exit_code, ran.report.rows_failed) == (2, 0)
    assert sent <= 25, "what was gathered before the first answer, and a few probes"


@in_virtual_time
async def test_a_refused_row_among_others_is_told_by_what_was_answered_before(here: Path) -> None:
    texts = [*words(20), *words(11, marker="[[fault=403]]"), *words(9, marker="more")]
    with collecting(Terms(size=10, most_seconds=60.0)):
        async with open_work(here) as work:
            ran = await work.run(work.chat(texts))
            audit(work, ran.report)
    assert ran.report.exit_code == 3
    assert sorted(ran.failed) == list(range(20, 31))


@in_virtual_time
async def test_a_rate_limit_within_a_group_is_no_attempt_and_pauses_nobody(here: Path) -> None:
    with collecting(Terms(size=6, most_seconds=30.0)):
        async with open_work(here) as work:
            texts = [*words(6), *words(2, marker="[[fault=429*9]]")]
            ran = await work.run(work.chat(texts))
    assert ran.done == list(range(8))
    assert ran.report.exit_code == 0


@in_virtual_time
async def test_a_budget_holds_with_answers_that_come_late(here: Path) -> None:
    """The worst case of all that is in flight is held against it."""
    with collecting(Terms(size=8, most_seconds=30.0)):
        async with open_work(here) as work:
            spec = work.chat(list(words(60)), max_tokens=100, max_cost=Decimal("0.0005"))
            ran = await work.run(spec)
    assert ran.report.exit_code == 4
    assert 0 < ran.report.rows_done < 60
    assert ran.report.cost_usd is not None
    assert ran.report.cost_usd <= Decimal("0.0005")
