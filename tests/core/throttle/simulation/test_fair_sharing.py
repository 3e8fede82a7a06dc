"""Jobs beside each other on one quota, in virtual time: what each gets, and when it is done.

A job's fair time is its own work at its weight's part of the limit. A newcomer waits up to a
horizon for its first send, and is made good for that; what remains is a second or two at the end.
"""

from __future__ import annotations

import itertools
import math

import pytest

from batcher.core.throttle.sharing import WEIGHTS
from tests.core.throttle.simulation.workloads import alike, mixed
from tests.simulated.client import Network
from tests.simulated.crowd import Crowd, Job, finish
from tests.simulated.provider import ReferenceProvider, Request

PAIRS = list(itertools.product(WEIGHTS, WEIGHTS))
BACKFILL = 1_000_000


def backfill(priority: str = "normal", workers: int = 1) -> Job:
    return Job("backfill", alike(BACKFILL), priority, workers=workers)


def part(of: str, *others: str) -> float:
    return WEIGHTS[of] / sum(WEIGHTS[priority] for priority in (of, *others))


def rates(crowd: Crowd, seconds: float) -> list[list[float]]:
    """Requests a second of each job's workers, once things have settled."""
    crowd.run(100)
    before = [job.sent for job in crowd.jobs]
    crowd.run(seconds)
    return [
        [(b - a) / seconds for a, b in zip(sent, job.sent, strict=True)]
        for sent, job in zip(before, crowd.jobs, strict=True)
    ]


@pytest.mark.parametrize(("small", "big"), PAIRS)
def test_a_small_job_is_done_in_its_time(small: str, big: str) -> None:
    job = Job("small", alike(500), small, arrives=120)
    crowd = Crowd(ReferenceProvider(rpm=600), [backfill(big), job])
    fair = 500 / 10 / part(small, big)
    assert 0.98 <= finish(crowd, job) / fair <= 1.04


@pytest.mark.parametrize(("small", "big"), PAIRS)
def test_the_same_where_tokens_are_scarce(small: str, big: str) -> None:
    work = mixed(80_000, 1)
    job = Job("small", work, small, arrives=120)
    big_job = Job("big", mixed(10_000_000, 2), big)
    crowd = Crowd(ReferenceProvider(tpm=100_000), [big_job, job])
    fair = sum(request.cost for request in work) / (100_000 / 60) / part(small, big)
    assert 0.98 <= finish(crowd, job) / fair <= 1.04


@pytest.mark.parametrize("bucket_seconds", [60, 6])
@pytest.mark.parametrize("latency", [0.05, 1.0])
def test_neither_latency_nor_the_bucket_changes_that(latency: float, bucket_seconds: int) -> None:
    job = Job("small", alike(500), arrives=120, network=Network(median=latency))
    crowd = Crowd(ReferenceProvider(rpm=600, bucket_seconds=bucket_seconds), [backfill(), job])
    assert 98 <= finish(crowd, job) <= 104 + latency  # and its last answer


def test_many_workers_of_the_backfill_change_nothing() -> None:
    job = Job("small", alike(500), arrives=120)
    crowd = Crowd(ReferenceProvider(rpm=600), [backfill(workers=4), job])
    assert 0.98 <= finish(crowd, job) / 100 <= 1.04


def test_a_tiny_job_waits_for_a_horizon_at_the_most() -> None:
    job = Job("tiny", alike(5), "low", arrives=120)
    crowd = Crowd(ReferenceProvider(rpm=600), [backfill("high"), job])
    assert finish(crowd, job) < 2.5 + 5  # a horizon, its time, an answer


def test_jobs_get_their_weights_and_the_limit_stays_busy() -> None:
    jobs = [Job(name, alike(BACKFILL), name) for name in WEIGHTS]
    crowd = Crowd(ReferenceProvider(rpm=600), jobs)
    reached = [sum(job) for job in rates(crowd, 200)]
    assert sum(reached) == pytest.approx(10, rel=0.01)
    for job, rate in zip(jobs, reached, strict=True):
        fair = 10 * WEIGHTS[job.priority] / sum(WEIGHTS.values())
        assert rate == pytest.approx(fair, rel=0.03)


@pytest.mark.parametrize("rpm", [600, 6000])
def test_workers_of_one_job_do_not_starve_each_other(rpm: int) -> None:
    crowd = Crowd(ReferenceProvider(rpm=rpm), [backfill(workers=4)])
    (reached,) = rates(crowd, 60)
    assert sum(reached) == pytest.approx(rpm / 60, rel=0.01)
    assert min(reached) >= 0.95 * rpm / 60 / 4


def test_more_workers_are_no_greater_part() -> None:
    crowd = Crowd(ReferenceProvider(rpm=600), [backfill(workers=4), Job("b", alike(BACKFILL))])
    many, one = rates(crowd, 200)
    assert sum(many) == pytest.approx(5, rel=0.03)
    assert sum(one) == pytest.approx(5, rel=0.03)


@pytest.mark.parametrize(("small", "large"), PAIRS)
def test_few_large_requests_and_many_small_ones_share_by_tokens(small: str, large: str) -> None:
    jobs = [
        Job("small", [Request(cost=100, used=100)] * BACKFILL, small),
        Job("large", [Request(cost=10_000, used=10_000)] * 100_000, large),
    ]
    crowd = Crowd(ReferenceProvider(tpm=100_000), jobs)
    many, few = (sum(job) for job in rates(crowd, 1200))
    fair = part(small, large)
    assert many * 100 / (100_000 / 60) == pytest.approx(fair, rel=0.1)
    assert few * 10_000 / (100_000 / 60) == pytest.approx(1 - fair, rel=0.1)


def test_each_is_charged_for_what_it_needs_most() -> None:
    """One needs requests, the other tokens: both get nine tenths of that, not half."""
    jobs = [
        Job("requests", alike(BACKFILL)),
        Job("tokens", [Request(cost=2000, used=2000)] * 100_000),
    ]
    crowd = Crowd(ReferenceProvider(rpm=600, tpm=100_000), jobs)
    requests, tokens = (sum(job) for job in rates(crowd, 300))
    assert requests / 10 > 0.85
    assert tokens * 2000 / (100_000 / 60) > 0.85


@pytest.mark.parametrize(
    ("concurrency", "latency"), [(1, 1.0), (4, 10.0), (8, 0.5)], ids=["one", "slow", "quick"]
)
def test_what_a_slow_job_leaves_goes_to_the_other(concurrency: int, latency: float) -> None:
    slow = Job("slow", alike(BACKFILL), concurrency=concurrency, network=Network(median=latency))
    crowd = Crowd(ReferenceProvider(rpm=600), [backfill(), slow])
    fast, own = (sum(job) for job in rates(crowd, 200))
    assert fast + own == pytest.approx(10, rel=0.01)
    # Alone it would have so much; beside the other it waits up to three quarters of a second more.
    alone = concurrency / (latency * math.exp(0.4**2 / 2))
    assert own >= min(4.9, 0.5 * alone)


def test_where_no_limit_is_told_weights_count_as_well() -> None:
    jobs = [Job("a", alike(BACKFILL), "high"), Job("b", alike(BACKFILL))]
    crowd = Crowd(ReferenceProvider(rpm=600, headers=False), jobs)
    high, normal = (sum(job) for job in rates(crowd, 200))
    assert high + normal == pytest.approx(10, rel=0.03)
    assert high / normal == pytest.approx(2, rel=0.1)


def test_pumps_call_about_once_a_second_at_the_most() -> None:
    jobs = [Job(str(n), alike(BACKFILL), workers=2) for n in range(4)]
    crowd = Crowd(ReferenceProvider(rpm=6000), jobs)
    crowd.run(60)
    before = [client.reserves for job in jobs for client in job.clients]
    crowd.run(60)
    after = [client.reserves for job in jobs for client in job.clients]
    assert max(b - a for a, b in zip(before, after, strict=True)) <= 1.2 * 60
