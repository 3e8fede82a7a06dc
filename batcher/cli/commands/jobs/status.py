"""``batcher status``."""

from __future__ import annotations

import click

from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.command_line import command_of, short_of_here
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import with_job
from batcher.cli.summary import fact, facts, next_steps


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
    report = with_job(ctx, job, lambda runner, one: runner.status(one))
    if as_json:
        print_json(report.to_json())
        return
    places = [fact("input", report.spec.input)]
    if report.last_output is not None:
        places.append(fact("output", short_of_here(report.last_output)))
    print_lines([*facts(report), *places])
    command = command_of(report.spec, output=report.last_output)
    print_lines(list(next_steps(report, command=command)))
