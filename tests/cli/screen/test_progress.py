"""What is shown of a run: the figures, the plain lines, and the live view."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from batcher.cli.screen.fitting import ALWAYS, Part, fitted
from batcher.cli.screen.gauge import Gauge, Reading
from batcher.cli.screen.live_view import LiveScreen, RunView
from batcher.cli.screen.progress import Progress
from batcher.cli.screen.screens import PlainScreen
from batcher.cli.screen.words import progress_line
from batcher.core.model import Tally, Usage
from batcher.core.throttle.bucket import Limits
from batcher.engine.telemetry.run_stats import RunStats

DOLLAR = 10**12


def a_live(**more: object) -> RunStats:
    fields = {"rows": 1000, "base": Tally(), "started_at": 100.0, "priced": True} | more
    return RunStats(**fields)  # type: ignore[arg-type]


def a_reading(**more: object) -> Reading:
    live = a_live(
        rows=12_000, rows_planned=12_000, rows_done=3000, dead=2, requests=30, rate_limited=1,
        retried=4, in_flight=7, window=20,
        usage=Usage(requests=30, prompt_tokens=90_000, cost_picousd=DOLLAR),
        limits=Limits(
            requests_per_minute=500, tokens_per_minute=200_000, requests_share=0.42,
            tokens_share=0.999,
        ),
    )  # fmt: skip
    for name, value in more.items():
        setattr(live, name, value)
    return Gauge(live).read(110.0)


def drawn(reading: Reading, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False, record=True)
    console.print(RunView(reading))
    return console.export_text()


def test_the_gauge_reads_speed_and_time_left_off_the_last_ten_seconds() -> None:
    live = a_live()
    gauge = Gauge(live)
    for second in range(1, 30):
        live.rows_done += 50 if second <= 10 else 5  # a burst, then the pace of a limit
        gauge.read(100.0 + second)

    reading = gauge.read(130.0)

    assert reading.rows_per_second == pytest.approx(5.0, rel=0.2)
    assert reading.seconds_left == pytest.approx(reading.left / reading.rows_per_second)
    assert reading.done == 595


@pytest.mark.parametrize(("share", "left"), [(1.0, 9.0), (0.5, 1.25)])
def test_a_burst_is_not_taken_to_go_on_once_a_limit_binds(share: float, left: float) -> None:
    live = a_live(rows=360, rows_done=320, usage=Usage(requests=320))
    limits = Limits(requests_per_minute=40 * 60 / 9, requests_share=share)
    live.limits = limits
    reading = Gauge(live).read(110.0)
    assert reading.rows_per_second == pytest.approx(32.0)
    assert reading.seconds_left == pytest.approx(left)


def test_a_resumed_job_counts_what_earlier_runs_did_but_not_in_its_speed() -> None:
    base = Tally(rows_done=600, rows_failed=4, usage=Usage(requests=6, cost_picousd=6 * DOLLAR))
    live = a_live(base=base, rows_done=100, usage=Usage(requests=1, cost_picousd=DOLLAR))
    reading = Gauge(live).read(110.0)

    assert (reading.done, reading.failed, reading.left, reading.done_now) == (700, 4, 296, 100)
    assert reading.rows_per_second == pytest.approx(10.0)
    assert reading.seconds_left == pytest.approx(29.6)
    assert reading.cost == 7
    assert reading.projected == Decimal(10)
    assert reading.requests == 7


def test_the_projected_cost_waits_for_the_rows_that_were_paid() -> None:
    live = a_live(rows_done=100, usage=Usage(cost_picousd=DOLLAR))
    gauge = Gauge(live)
    assert gauge.read(101.0).projected == 10

    live.usage = Usage(cost_picousd=2 * DOLLAR)  # answered, not checkpointed yet

    assert gauge.read(101.1).projected == 10


def test_an_unknown_price_is_not_nothing() -> None:
    reading = Gauge(a_live(priced=False)).read(101.0)

    assert (reading.cost, reading.projected) == (None, None)
    assert "$" not in drawn(reading)
    assert "cost unknown (no price)" in drawn(reading)


def test_a_plain_line_says_what_matters() -> None:
    assert progress_line(a_reading()) == (
        "sending: 3,000 of 12,000 rows (25%), 2 failed, 300 rows/s, 81 s left, "
        "$1.00 of about $4.00, 7 in flight, 1 rate limited, 4 retries, "
        "42% of 500 requests/min, 99% of 200,000 tokens/min"
    )


def test_what_went_wrong_last_stands_beside_the_retries() -> None:
    reading = a_reading(last_fault="no connection")

    assert "4 retries (last: no connection)" in progress_line(reading)
    assert "4 retries (last: no connection)" in drawn(reading)


def test_the_live_view_shows_every_figure() -> None:
    text = drawn(a_reading())

    for figure in (
        "sending", "25%", "3,000 of 12,000 rows", "300 rows/s", "81 s left",
        "$1.00 of about $4.00", "requests", "42% of 500 a minute", "tokens",
        "99% of 200,000 a minute", "7 of 20 in flight", "30 requests", "90,000 tokens",
        "1 rate limited", "4 retries", "2 failed for good",
    ):  # fmt: skip
        assert figure in text
    assert len(text.splitlines()) == 5


LARGE = {
    "rows": 1_000_000, "rows_planned": 600_000, "rows_done": 123_456, "dead": 12_345,
    "requests": 135_801, "rate_limited": 1_234, "retried": 4_321, "in_flight": 1_000,
    "window": 1_000, "usage": Usage(requests=135_801, prompt_tokens=10**9, cost_picousd=10**16),
    "limits": Limits(
        requests_per_minute=30_000, tokens_per_minute=150_000_000, requests_share=1.0,
        tokens_share=0.999, paused_until=320.0,
    ),
}  # fmt: skip
"""Figures as wide as they come."""


@pytest.mark.parametrize("width", [40, 50, 60, 80, 120])
@pytest.mark.parametrize(
    "more",
    [{}, LARGE, LARGE | {"outage": True}, {"limits": Limits()}],
    ids="small large out free".split(),
)
def test_no_line_of_the_live_view_is_wrapped_or_cut(width: int, more: dict[str, object]) -> None:
    reading = a_reading(**more)
    expected = 3 + 2 * (reading.requests_share is not None) + bool(reading.pause_seconds)

    lines = drawn(reading, width).splitlines()

    assert len(lines) == expected
    assert max(len(line.rstrip()) for line in lines) <= width
    assert "…" not in "".join(lines)


def test_a_narrow_terminal_gets_the_figures_that_matter_most() -> None:
    text = drawn(a_reading(outage=True), 40)

    assert [line.rstrip() for line in text.splitlines()] == [
        "sending     25%  3,000 of 12,000 rows",
        "300 rows/s · 81 s left · $1.00",
        "requests    42% of 500 a minute",
        "tokens      99% of 200,000 a minute",
        "7 in flight · 1 rate limited · 2 failed",
        "the provider does not answer",
    ]


def test_the_bars_grow_with_the_terminal() -> None:
    bars = [drawn(a_reading(), width).splitlines()[0].count("━") for width in (40, 50, 60, 120)]

    assert bars == sorted(bars)
    assert bars[0] == 0 < bars[1] < bars[-1]


def test_what_matters_least_is_shortened_before_anything_is_left_out() -> None:
    parts = [Part(("one of three", "one"), 2), Part(("two",), 1), Part(("three", "3"), ALWAYS)]

    assert [fitted(parts, width) for width in (26, 25, 13, 7, 3)] == [
        [("one of three", ""), ("two", ""), ("three", "")],
        [("one", ""), ("two", ""), ("three", "")],
        [("one", ""), ("two", ""), ("3", "")],
        [("one", ""), ("3", "")],
        [("3", "")],
    ]


def test_planning_beside_the_sending_is_shown_until_it_ends() -> None:
    assert "50% planned" in drawn(a_reading(rows_planned=6000))
    assert "planned" not in drawn(a_reading())


def test_limits_are_shown_only_where_there_are_any() -> None:
    text = drawn(a_reading(limits=Limits()))

    assert "a minute" not in text
    assert len(text.splitlines()) == 3


def test_pauses_and_outages_are_said_in_words() -> None:
    paused = a_reading(limits=Limits(paused_until=140.0))
    assert "the provider said slow down: waiting 30 s" in drawn(paused)
    assert progress_line(paused).endswith("the provider said slow down: waiting 30 s")

    outage = a_reading(outage=True)
    assert "the provider does not answer; trying again; no row fails because of this" in drawn(
        outage
    )


def test_the_plain_screen_writes_at_the_start_and_every_ten_seconds() -> None:
    lines: list[str] = []
    screen = PlainScreen(lines.append)
    screen.waiting("checking the input", 0.0)
    screen.waiting("checking the input", 0.5)
    screen.waiting("checking the input", 10.5)
    assert lines == ["checking the input", "checking the input, 10 s"]
    lines.clear()

    live = a_live()
    gauge = Gauge(live)
    for tenth in range(0, 301, 5):
        screen.show(gauge.read(100.0 + tenth / 10))

    assert len(lines) == 4
    assert all(line.startswith("sending: 0 of 1,000 rows (0%)") for line in lines)


def test_the_live_screen_draws_and_leaves_what_was_said() -> None:
    file = io.StringIO()
    console = Console(file=file, width=100, height=30, force_terminal=True, color_system=None)
    now = 100.0
    progress = Progress(LiveScreen(console), clock=lambda: now)
    progress.draw()
    progress.attach(a_live(in_flight=3))
    progress.announce(True)
    now = 101.0
    progress.draw()
    progress.screen.close()

    text = file.getvalue()
    assert "checking the input" in text
    assert "checking  " not in text
    assert "0 of 1,000 rows" in text
    assert (
        "stopping: waiting for 3 requests in flight (up to 10 s); "
        "press Ctrl-C again to stop at once\n" in text
    )
    assert text.endswith("\x1b[?25h") or "\x1b[?25h" in text  # the cursor is back


def test_a_screen_that_has_gone_does_not_end_the_run() -> None:
    def gone(text: str) -> None:
        raise BrokenPipeError(text)

    progress = Progress(PlainScreen(gone))
    progress.draw()
    progress.attach(a_live())
    progress.announce(True)
    progress.close()
