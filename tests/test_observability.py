"""What an operator reads about a worker is there, and is true."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from batcher.cli.commands.worker import worker
from batcher.core.model import Tally
from batcher.core.throttle.bucket import Limits
from batcher.engine.telemetry.metrics import Meters, Served
from batcher.engine.telemetry.run_stats import RunStats
from batcher.ports import LEVELS, Event

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "observability.md").read_text(encoding="utf-8")
DEPLOYING = (DOCS / "deploy.md").read_text(encoding="utf-8")


def metrics() -> set[str]:
    """The names of all metrics, with one job being served."""
    live = RunStats(
        rows=1,
        base=Tally(),
        started_at=0.0,
        limits=Limits(requests_per_minute=1.0, tokens_per_minute=1.0),
    )
    meters = Meters()
    meters.of("chat", "m")
    served = [Served("j", "chat", "m", live)]
    return {family.name for family in meters.families(served, wall=0.0, now=0.0, stopping=False)}


def test_every_metric_is_documented_and_no_other() -> None:
    assert set(re.findall(r"`(batcher_\w+)`", PAGE)) == metrics()


@pytest.mark.parametrize("event", Event)
def test_every_event_is_documented_with_its_level(event: Event) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith("|") and f"`{event}`" in line]
    assert LEVELS[event].name.lower() in row.split("|")[2]


def test_no_event_is_documented_that_there_is_not() -> None:
    first = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for cell in first for name in re.findall(r"`([a-z]+\.[a-z]+)`", cell)}
    assert named == set(Event)


def test_every_setting_of_a_worker_stands_in_the_page_on_running_it_with_its_variable() -> None:
    rows = [line for line in DEPLOYING.splitlines() if line.startswith("| `--")]
    for option in worker.params:
        assert isinstance(option, click.Option)
        variable = option.envvar if isinstance(option.envvar, str) else (option.envvar or [""])[0]
        assert [row for row in rows if f"`{option.opts[-1]}`" in row and f"`{variable}`" in row]


def test_no_setting_is_named_that_a_worker_does_not_have() -> None:
    named = set(re.findall(r"batcher worker (--[a-z-]+)", DEPLOYING + PAGE))
    assert named
    assert named <= {name for option in worker.params for name in option.opts}
