"""A worker's state over real HTTP, and metrics as Prometheus reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from batcher.adapters.observability.exposition import expose
from batcher.adapters.observability.health import serve_health
from batcher.core.errors import UsageError
from batcher.ports import Family, Sample
from batcher.ports.meter import Histogram

FACTS = {"serving": True, "database": True}
NASTY = 'a "model"\\with\nall'


def family(value: float = 3.0) -> Family:
    return Family("batcher_x_total", "counter", "How many.", [Sample({"model": NASTY}, value)])


@asynccontextmanager
async def asking(facts: Mapping[str, bool]) -> AsyncIterator[aiohttp.ClientSession]:
    async def ready() -> Mapping[str, bool]:
        return facts

    async with (
        serve_health("127.0.0.1", 0, ready=ready, families=lambda: [family()]) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def test_it_is_live_as_long_as_it_answers() -> None:
    async with asking({"database": False}) as session, session.get("/live") as answer:
        assert (answer.status, await answer.json()) == (200, {"live": True})


@pytest.mark.parametrize("broken", [None, "serving", "database"])
async def test_it_is_ready_when_everything_is(broken: str | None) -> None:
    facts = {name: name != broken for name in FACTS}
    async with asking(facts) as session, session.get("/ready") as answer:
        assert answer.status == (200 if broken is None else 503)
        assert await answer.json() == {"ready": broken is None, **facts}


async def test_metrics_are_read_by_prometheus() -> None:
    async with asking(FACTS) as session, session.get("/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        (read,) = text_string_to_metric_families(await answer.text())
    assert (read.type, read.documentation) == ("counter", "How many.")
    assert read.samples[0].labels == {"model": NASTY}
    assert read.samples[0].value == 3


async def test_it_takes_no_orders() -> None:
    async with asking(FACTS) as session:
        for method, path, status in (("POST", "/ready", 405), ("GET", "/other", 404)):
            async with session.request(method, path) as answer:
                assert answer.status == status


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    async with asking(FACTS) as session:
        url = session._base_url
        assert url is not None
        assert url.port is not None
        with pytest.raises(UsageError, match=f"--health-port {url.port} on 127.0.0.1 cannot"):
            async with serve_health("127.0.0.1", url.port, ready=lambda: _never(), families=list):
                pass


async def _never() -> Mapping[str, bool]:
    raise AssertionError


@pytest.mark.parametrize("value", [0.0, 1e-12, 0.1, 123456789012.0, 1.5e20])
def test_figures_are_not_rounded(value: float) -> None:
    (read,) = text_string_to_metric_families(expose([family(value)]))
    assert read.samples[0].value == pytest.approx(value, rel=1e-14)


def test_a_histogram_counts_its_bounds_inclusively() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 2.5):
        histogram.add(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 7.5)
