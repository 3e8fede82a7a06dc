"""The live view of a run on a terminal: a few lines that no terminal of 40 columns has to wrap."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from batcher.cli.figures import count, duration, rate, share
from batcher.cli.screen.fitting import ALWAYS, BETWEEN, Part, first_that_fits, fitted
from batcher.cli.screen.gauge import Reading
from batcher.cli.screen.words import costs, delays, troubles, waiting_line
from batcher.core.text.inert import inert

_LABEL_WIDTH = 10
_INDENT = _LABEL_WIDTH + 2
_INDENTED_FROM = 60
_BAR_WIDTH = 40
_GAUGE_WIDTH = 16
_BAR_WIDTH_LEAST = 8


class LiveScreen:
    """A few lines at the bottom of the terminal, redrawn four times a second."""

    seconds = 0.25

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

    def waiting(self, activity: str, elapsed: float) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        text = Text(inert(waiting_line(activity, elapsed)))
        text.stylize("bold", 0, len(activity.partition(" ")[0]))
        self._view.update(text, refresh=True)

    def show(self, reading: Reading) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._view.update(RunView(reading), refresh=True)

    def say(self, text: str) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._console.print(Text(inert(text)))

    def close(self) -> None:
        """See :class:`batcher.cli.screen.screens.Screen`."""
        self._view.stop()


class RunView:
    """All figures of a run in three to six lines, or as many of them as the terminal is wide."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The lines for the width at this moment: a terminal may be made narrower."""
        del console
        yield Group(*_lines(self._reading, options.max_width))


def _lines(reading: Reading, width: int) -> list[RenderableType]:
    lines: list[RenderableType] = [_rows(reading, width), _pace(reading, width)]
    if gauges := _limits(reading, width):
        lines.append(gauges)
    lines.append(_counts(reading, width))
    if words := troubles(reading):
        lines.append(_one_line(first_that_fits(words, width), "yellow"))
    return lines


def _rows(reading: Reading, width: int) -> RenderableType:
    settled = reading.done + reading.failed
    part = share(settled / reading.rows if reading.rows else 1.0)
    done, rows = count(reading.done), count(reading.rows)
    noun = "row" if reading.rows == 1 else "rows"
    words = first_that_fits(
        (f"{part}  {done} of {rows} {noun}", f"{part}  {done} of {rows}", part), width - _INDENT
    )
    text = _one_line(words)
    text.stylize("bold", 0, len(part))
    bar = _bar(settled, max(1, reading.rows), _BAR_WIDTH, width - len(words))
    return _grid([(_one_line(reading.phase, "bold"), bar, text)])


def _pace(reading: Reading, width: int) -> Text:
    left = reading.seconds_left
    parts = [
        Part((rate(reading.rows_per_second),), 3),
        Part(("time left unknown",) if left is None else (f"{duration(left)} left",), 4),
        Part(costs(reading), 2),
    ]
    if reading.planned_share < 1:
        parts.append(Part((f"{share(reading.planned_share)} planned",), 1))
    return _line(parts, width)


def _limits(reading: Reading, width: int) -> RenderableType | None:
    rows = [
        (name, part, f"{share(part)} of {count(round(limit))} a minute")
        for name, part, limit in (
            ("requests", reading.requests_share, reading.requests_per_minute),
            ("tokens", reading.tokens_share, reading.tokens_per_minute),
        )
        if part is not None and limit is not None
    ]
    if not rows:
        return None
    room = width - max(len(words) for _, _, words in rows)
    return _grid(
        [
            (
                _one_line(name, "dim"),
                _bar(min(1.0, part), 1.0, _GAUGE_WIDTH, room),
                _one_line(words, "dim"),
            )
            for name, part, words in rows
        ]
    )


def _counts(reading: Reading, width: int) -> Text:
    flight = f"{count(reading.in_flight)} of {count(reading.window)} in flight"
    parts = [
        Part((flight, f"{count(reading.in_flight)} in flight"), ALWAYS, "dim"),
        Part((count(reading.requests, "request"),), 2, "dim"),
        Part((count(reading.tokens, "token"),), 1, "dim"),
        *(Part((words,), 4 - number, "dim") for number, words in enumerate(delays(reading))),
    ]
    if reading.failed:
        failed = count(reading.failed)
        parts.append(Part((f"{failed} failed for good", f"{failed} failed"), ALWAYS, "red"))
    return _line(parts, width)


def _bar(completed: float, total: float, widest: int, room: int) -> ProgressBar | None:
    """A bar for what ``room`` leaves beside the label and the blanks; none where it is little."""
    width = min(widest, room - _INDENT - 2)
    if width < _BAR_WIDTH_LEAST:
        return None
    return ProgressBar(total=total, completed=completed, width=width)


def _grid(rows: Sequence[tuple[Text, ProgressBar | None, Text]]) -> Table:
    """Labels, bars where there is room for them, and words."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False, expand=False)
    grid.add_column(min_width=_LABEL_WIDTH)
    for row in rows:
        grid.add_row(*(cell for cell in row if cell is not None))
    return grid


def _line(parts: Sequence[Part], width: int) -> Text:
    """Parts side by side, below the words of the lines with labels where there is room."""
    indent = _INDENT if width >= _INDENTED_FROM else 0
    text = _one_line(" " * indent)
    for number, (words, style) in enumerate(fitted(parts, width - indent)):
        text.append(BETWEEN if number else "", style="dim")
        text.append(inert(words), style)
    return text


def _one_line(words: str, style: str = "") -> Text:
    """Never wrapped: what is too long even so is cut, and says so."""
    return Text(inert(words), style=style, no_wrap=True, overflow="ellipsis")
