"""``batcher jobs``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count, duration, money, parse_since
from batcher.cli.options.command import command
from batcher.cli.options.command_line import short_path
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json, print_lines, table
from batcher.cli.session import settings_from, with_runner
from batcher.core.errors import NoDatabase
from batcher.core.job.filter import EVERY_JOB, JobFilter
from batcher.core.model import JobState

if TYPE_CHECKING:
    from batcher.engine.job.report import Report

_HEADINGS = ("JOB", "KIND", "MODEL", "INPUT", "STATUS", "DONE", "FAILED", "LEFT", "COST", "AGE")
_INPUT_WIDTH = 32
_MOST = 2**31 - 1
"""More than any database holds, and what every database takes for a number of rows."""


@command(
    "jobs",
    json="Print the jobs as a JSON array.",
    params=[
        Setting(
            "--state", type=click.Choice([str(state) for state in JobState]),
            envvar="BATCHER_JOBS_STATE", help="Only jobs in this state.",
        ),
        Setting(
            "--kind", metavar="KIND", envvar="BATCHER_JOBS_KIND", help="Only jobs of this kind.",
        ),
        Setting(
            "--name", metavar="NAME", envvar="BATCHER_JOBS_NAME", help="Only jobs of this name.",
        ),
        Setting(
            "--since", metavar="WHEN", envvar="BATCHER_JOBS_SINCE",
            help="Only jobs made in this span of time (7d, 12h) or since a date or time.",
        ),
        Setting(
            "--after", metavar="JOB", envvar="BATCHER_JOBS_AFTER",
            help="Only jobs that come after this one in the list.",
        ),
        Setting(
            "-n", "--limit", metavar="N", type=click.IntRange(min=1), default=100,
            default_text="100", envvar="BATCHER_JOBS_LIMIT", help="At most this many.",
        ),
    ],
    examples=(
        "batcher jobs",
        "batcher jobs --kind embed --since 7d",
        "batcher jobs --state paused --json | jq -r '.[].job'",
    ),
)  # fmt: skip
def jobs(
    ctx: click.Context,
    *,
    state: str | None,
    kind: str | None,
    name: str | None,
    since: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the jobs, newest first.

    A job that is "open" is being run, or was interrupted: its command goes on with it. Where jobs
    have names, or schedules have opened them, these stand in the last columns.
    """
    now = datetime.now(UTC)
    wanted = JobFilter(
        state=None if state is None else JobState(state),
        kind=kind,
        name=name,
        since=None if since is None else parse_since(since, now),
    )
    try:
        reports = with_runner(
            ctx, lambda runner: runner.jobs(limit=min(limit + 1, _MOST), wanted=wanted, after=after)
        )
    except NoDatabase:
        if ctx.params["db"] is not None:
            raise
        reports = []  # nothing was run in this directory yet
    are_more, reports = len(reports) > limit, reports[:limit]
    if as_json:
        print_json([report.to_json() for report in reports])
    elif reports:
        headings: tuple[str, ...] = _HEADINGS
        rows = [_row(r, now) for r in reports]
        if any(report.name for report in reports):
            headings = (*headings, "NAME")
            rows = [[*row, r.name or "-"] for row, r in zip(rows, reports, strict=True)]
        if any(report.schedule for report in reports):
            headings = (*headings, "SCHEDULE")
            rows = [[*row, r.schedule or "-"] for row, r in zip(rows, reports, strict=True)]
        print_lines(table(headings, rows, right="DONE FAILED LEFT COST AGE"))
    elif after is not None:
        say(f"no such job after {after}")
    elif wanted != EVERY_JOB:
        say("no such job: `batcher jobs` lists all")
    else:
        where = settings_from(ctx).place
        say(f"no jobs in {where} yet: `batcher run KIND INPUT -o OUTPUT` makes one")
    if are_more:
        say(f"older ones follow with --after {reports[-1].job}")


def _row(report: Report, now: datetime) -> list[str]:
    return [
        report.job,
        report.kind,
        f"{report.model} (simulated)" if report.spec.simulate else report.model,
        short_path(report.spec.input, _INPUT_WIDTH),
        report.status,
        count(report.rows_done),
        count(report.rows_failed),
        count(report.rows_left),
        "?" if report.cost_usd is None else money(report.cost_usd),
        duration(max(0.0, (now - report.created_at).total_seconds())),
    ]
