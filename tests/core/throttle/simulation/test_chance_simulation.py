"""429s that have nothing to do with the load, in virtual time: they must not end the run."""

from __future__ import annotations

import pytest

from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.refusals import PATIENCE
from tests.core.throttle.simulation.workloads import LATENCIES, SEEDS, alike
from tests.simulated.client import Network, simulate
from tests.simulated.provider import ReferenceProvider

CHANCE = 0.05
WAITS = [0.05, 1.0]


def best_rate(limit: float, wait: float) -> float:
    """What is served at most: a 429 comes after so many, and stops everyone for the wait.

    Afterwards the bucket is empty: the next request waits for its own share.
    """
    served = (1 - CHANCE) / CHANCE
    return served / ((served + 2) / limit + wait)


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize("headers", [True, False], ids=["headers", "flag"])
def test_known_limits_come_back(headers: bool, wait: float, latency: float) -> None:
    for seed in SEEDS:
        provider = ReferenceProvider(
            rpm=1200 if headers else None,
            headers=headers,
            chance=CHANCE,
            chance_wait=wait,
            seed=seed,
        )
        flag = None if headers else 1200
        network = Network(median=latency)
        quota = QuotaState()
        simulate(provider, alike(3000), seed=seed, rpm=flag, network=network, quota=quota)
        assert quota.factor == 1.0
        assert provider.served_late() >= 0.85 * best_rate(20, wait)


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("wait", WAITS)
def test_told_nothing_it_serves_what_concurrency_allows(wait: float, latency: float) -> None:
    """As much as a throttle that knew from the start that these 429s mean nothing."""
    for seed in SEEDS:
        served = []
        for wise in (True, False):
            provider = ReferenceProvider(headers=False, chance=CHANCE, chance_wait=wait, seed=seed)
            quota = QuotaState()
            quota.refusals.in_vain = PATIENCE if wise else 0.0
            simulate(provider, alike(8000), seed=seed, network=Network(median=latency), quota=quota)
            served.append(provider.served_late())
        best, reached = served
        assert reached >= 0.85 * best


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize("flag", [None, 1200])
def test_a_limit_that_falls_is_no_chance(flag: int | None, latency: float) -> None:
    for seed in SEEDS:
        provider = ReferenceProvider(rpm=600, bucket_seconds=6, headers=False)
        report = simulate(
            provider,
            alike(660 + 1500),
            seed=seed,
            rpm=flag,
            network=Network(median=latency),
            lowered=(60, 0.5),
        )
        assert report.seconds <= 60 + 1.03 * 1500 / 5
        assert report.refused_share <= 0.05
