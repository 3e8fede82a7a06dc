"""``batcher status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.command_line import command_of, short_of_here
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import settings_from, with_job
from batcher.cli.summary import fact, facts, next_steps

if TYPE_CHECKING:
    from batcher.engine.job.report import Report
    from batcher.engine.runner import Runner
    from batcher.settings import Settings


@command(
    "status",
    json="Print the job's report as JSON.",
    params=[JobArgument()],
    examples=("batcher status 1ng6", "batcher status 1ng6rxhcwc --json | jq .rows"),
)
def status(ctx: click.Context, *, job: str | None, as_json: bool) -> None:
    """Show one job: its state, rows, tokens and cost.

    JOB is a job's id, or as much of its beginning as no other job has; without it, the last job is
    meant.
    """

    async def look(runner: Runner, one: str) -> tuple[Report, str | None]:
        report = await runner.status(one)
        return report, await _run_by(runner, report, settings_from(ctx))

    report, run_by = with_job(ctx, job, look)
    if as_json:
        print_json(report.to_json())
        return
    places = [fact("input", report.spec.input)]
    if report.last_output is not None:
        places.append(fact("output", short_of_here(report.last_output)))
    print_lines([*facts(report), *places])
    command = command_of(report.spec, output=report.last_output)
    print_lines(list(next_steps(report, command=command, run_by=run_by)))


async def _run_by(runner: Runner, report: Report, settings: Settings) -> str | None:
    """Who is running an open job now: empty where nobody is, None where that is not known."""
    from batcher.wiring import running_process

    if report.status != "open":
        return None
    process = running_process(settings, report.job)
    if process:
        return f"Process {process} of this machine is running"
    if any(worker.alive and report.job in worker.holds for worker in await runner.workers()):
        return "Workers are running"
    return process
