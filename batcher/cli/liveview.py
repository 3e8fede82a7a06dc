"""The live view of a run on a terminal."""

from __future__ import annotations

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batcher.cli.figures import count, duration, rate, share
from batcher.cli.gauge import Reading
from batcher.cli.progress import LIVE_SECONDS
from batcher.cli.words import cost, trouble

_GAUGE_WIDTH = 16


class LiveScreen:
    """A few lines at the bottom of the terminal, redrawn four times a second."""

    seconds = LIVE_SECONDS

    def __init__(self, console: Console) -> None:
        self._console = console
        self._view = RichLive(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._view.start()

    def waiting(self, elapsed: float) -> None:
        """See :class:`batcher.cli.progress.Screen`."""
        text = Text.assemble(("checking", "bold"), f"  the input, {duration(elapsed)}")
        self._view.update(text, refresh=True)

    def show(self, reading: Reading) -> None:
        """See :class:`batcher.cli.progress.Screen`."""
        self._view.update(view(reading), refresh=True)

    def say(self, text: str) -> None:
        """See :class:`batcher.cli.progress.Screen`."""
        self._console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """See :class:`batcher.cli.progress.Screen`."""
        self._view.stop()


def view(reading: Reading) -> RenderableType:
    """All figures of a run, in five or six lines."""
    lines: list[RenderableType] = [_rows(reading), _pace(reading)]
    if gauges := _limits(reading):
        lines.append(gauges)
    lines.append(_counts(reading))
    if words := trouble(reading):
        lines.append(Text(words, style="yellow"))
    return Group(*lines)


def _rows(reading: Reading) -> RenderableType:
    part = (reading.done + reading.failed) / reading.rows if reading.rows else 1.0
    grid = Table.grid(padding=(0, 2), expand=False)
    grid.add_column(min_width=10)
    grid.add_column()
    grid.add_column()
    grid.add_row(
        Text(reading.phase, style="bold"),
        ProgressBar(total=max(1, reading.rows), completed=reading.done + reading.failed, width=40),
        Text.assemble(
            (share(part), "bold"), f"  {count(reading.done)} of {count(reading.rows, 'row')}"
        ),
    )
    return grid


def _pace(reading: Reading) -> Text:
    left = "" if reading.seconds_left is None else f"{duration(reading.seconds_left)} left"
    parts = [rate(reading.rows_per_second), left or "time left unknown", cost(reading)]
    if reading.planned_share < 1:
        parts.append(f"{share(reading.planned_share)} planned")
    return _line(parts)


def _limits(reading: Reading) -> RenderableType | None:
    rows = [
        (name, part, limit)
        for name, part, limit in (
            ("requests", reading.requests_share, reading.requests_per_minute),
            ("tokens", reading.tokens_share, reading.tokens_per_minute),
        )
        if part is not None and limit is not None
    ]
    if not rows:
        return None
    grid = Table.grid(padding=(0, 2), expand=False)
    grid.add_column(min_width=10)
    for name, part, limit in rows:
        grid.add_row(
            Text(name, style="dim"),
            ProgressBar(total=1.0, completed=min(1.0, part), width=_GAUGE_WIDTH),
            Text(f"{share(part)} of {count(round(limit))} a minute", style="dim"),
        )
    return grid


def _counts(reading: Reading) -> Text:
    parts = [
        f"{reading.in_flight} of {reading.window} in flight",
        count(reading.requests, "request"),
        count(reading.tokens, "token"),
        count(reading.rate_limited, "429"),
        count(reading.retried, "retry", "retries"),
    ]
    line = _line(parts, style="dim")
    if reading.failed:
        line.append("  ")
        line.append(f"{count(reading.failed)} failed for good", style="red")
    return line


def _line(parts: list[str], style: str = "") -> Text:
    return Text(" " * 12 + " · ".join(parts), style=style)
