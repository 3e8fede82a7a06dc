"""Limits counted in windows: what the throttle is judged by, in virtual time.

`least_seconds` is what a client would need that knows the windows from its start on. Three windows
of twenty seconds each, so a hundredth is less than half a second, and one request left over would
cost half as much again.
"""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.core.throttle.simulation.workloads import alike, mixed
from tests.simulated.client import Network, Report, simulate
from tests.simulated.crowd import Crowd, Job, finish
from tests.simulated.windowed import WindowedProvider

WINDOW = 20.0
REQUESTS = 120
TOKENS = 40_000
PHASES = [0.0, 0.2, 0.35, 0.5, 0.75, 0.9]
SHAPES = ["fixed", "started", "sliding"]


def runs(kind: str, shape: str, latency: float = 0.3, **told: Any) -> list[Report]:
    """Runs whose start lies at different places of a window."""
    reports = []
    for seed, phase in enumerate(PHASES):
        told = {"window": WINDOW, **told, "phase": 1000.0 - (1 - phase) * WINDOW}
        if kind == "requests":
            provider = WindowedProvider(shape, requests=REQUESTS, **told)
            work = alike(3 * REQUESTS)
        else:
            provider = WindowedProvider(shape, tokens=TOKENS, **told)
            work = mixed(round(2.8 * TOKENS), seed)
        reports.append(simulate(provider, work, seed=seed, network=Network(median=latency)))
    return reports


def assert_good(
    reports: list[Report], *, ratio: float, refused: float, worst: float | None = None
) -> None:
    assert statistics.mean(report.ratio for report in reports) <= ratio, reports
    assert max(report.ratio for report in reports) <= (worst or ratio), reports
    assert statistics.mean(report.refused_share for report in reports) <= refused, reports


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["requests", "tokens"])
@pytest.mark.parametrize("unit", ["window", "minute"])
@pytest.mark.parametrize("says", ["reset", "remaining"])
def test_told_by_headers(kind: str, shape: str, says: str, unit: str) -> None:
    assert_good(runs(kind, shape, says=says, unit=unit), ratio=1.10, worst=1.12, refused=0.01)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_told_nothing_but_when_to_come_back(kind: str, shape: str) -> None:
    """Worst is a start that uses a window up just before its edge: the next one looks like more."""
    assert_good(runs(kind, shape, says="nothing"), ratio=1.25, worst=1.4, refused=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_told_nothing_at_all_it_finds_the_edges_by_trial(shape: str) -> None:
    reports = runs("requests", shape, says="nothing", retry_after=False)
    assert_good(reports, ratio=1.42, worst=1.5, refused=0.09)


def test_a_start_just_before_an_edge_costs_no_more_than_the_window_that_it_cannot_use() -> None:
    """A second before it: with headers it is used up all the same, without them it cannot be.

    Until a limit shows nothing is sent faster than a 429 may surprise it, so that window's worth
    takes one window more: 41 seconds to the 21 of a client that knows.
    """
    told: dict[str, Any] = {"window": WINDOW, "phase": 981.0}
    for seed in range(3):
        for says, ratio, refused in (("reset", 1.15, 0.01), ("nothing", 2.06, 0.06)):
            provider = WindowedProvider("fixed", requests=REQUESTS, says=says, **told)
            report = simulate(provider, alike(3 * REQUESTS), seed=seed)
            assert_good([report], ratio=ratio, refused=refused)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_minute_is_a_window_like_any_other(shape: str) -> None:
    told: dict[str, Any] = {"window": 60.0, "phase": 960.0}
    for says, ratio, refused in (("reset", 1.05, 0.01), ("nothing", 1.1, 0.05)):
        provider = WindowedProvider(shape, requests=360, says=says, **told)
        report = simulate(provider, alike(1080), seed=1)
        assert_good([report], ratio=ratio, refused=refused)


@pytest.mark.parametrize("shape", SHAPES)
def test_resets_in_whole_seconds_do(shape: str) -> None:
    assert_good(
        runs("requests", shape, says="reset", rounding=1.0), ratio=1.10, worst=1.12, refused=0.01
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_fleet_shares_the_windows(kind: str, shape: str) -> None:
    told: dict[str, Any] = {"window": WINDOW, "phase": 987.0}
    if kind == "requests":
        provider = WindowedProvider(shape, requests=REQUESTS, **told)
        work = alike(3 * REQUESTS)
    else:
        provider = WindowedProvider(shape, tokens=TOKENS, **told)
        work = mixed(round(2.8 * TOKENS), 1)
    job = Job("a", work, workers=4)
    crowd = Crowd(provider, [job])
    assert finish(crowd, job) <= 1.10 * provider.least_seconds(work)
    assert len(provider.refused) <= 0.01 * len(work)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_stated_limit_is_not_worn_down(shape: str) -> None:
    """Ten windows: what is used of the later ones is all of them."""
    provider = WindowedProvider(shape, window=WINDOW, requests=REQUESTS, phase=987.0)
    simulate(provider, alike(10 * REQUESTS), seed=1)
    assert provider.served_late() >= 0.97 * REQUESTS / WINDOW


@pytest.mark.parametrize(("requests", "latency"), [(30, 0.3), (120, 0.05), (120, 1.0), (600, 0.3)])
def test_a_proxy_that_tells_what_remains_and_asks_to_wait_for_a_whole_window(
    requests: int, latency: float
) -> None:
    """LiteLLM's, for its virtual keys: a window begins with a request, and lasts a minute."""
    provider = WindowedProvider(
        "started", window=60.0, requests=requests, says="remaining", asks_for_all=True
    )
    report = simulate(provider, alike(5 * requests), seed=1, network=Network(median=latency))
    assert_good([report], ratio=1.10, refused=0.01)


def test_long_bursts_are_no_sliding_window() -> None:
    """All that a window admits takes seven seconds to be sent: its edges show all the same."""
    provider = WindowedProvider(
        "started", window=60.0, requests=600, says="remaining", asks_for_all=True
    )
    report = simulate(provider, alike(1800), seed=1, network=Network(median=1.0))
    assert_good([report], ratio=1.25, refused=0.01)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unit", ["window", "minute"])
@pytest.mark.parametrize(("window", "requests"), [(1.0, 6), (2.0, 12), (2.0, 60), (5.0, 30)])
def test_short_windows_are_used_up(shape: str, unit: str, window: float, requests: int) -> None:
    """Also where the limit that is stated is that of a second: a tenth of what a minute admits.

    Twenty windows, since the first answer and the last take their time: 0.6 seconds in all. Where
    the run begins decides how long it takes to learn that a second is meant.
    """
    reports = []
    for phase in (0.0, 0.3, 0.5, 0.6, 0.8):
        at = 1000.0 - phase * window
        provider = WindowedProvider(shape, window=window, requests=requests, unit=unit, phase=at)
        reports.append(simulate(provider, alike(20 * requests), seed=1))
    assert statistics.median(report.ratio for report in reports) <= 1.3, reports
    assert max(report.ratio for report in reports) <= 3.2, reports
    assert statistics.mean(report.refused_share for report in reports) <= 0.08, reports
