"""``batcher status``."""

from __future__ import annotations

import click

from batcher.cli.command import JobArgument, command
from batcher.cli.commandline import command_of
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import with_runner
from batcher.cli.summary import facts, next_steps


@command(
    "status",
    json="Print the job's report as JSON.",
    params=[JobArgument()],
    examples=("batcher status 1ng6", "batcher status 1ng6rxhcwc --json | jq .rows"),
)
def status(ctx: click.Context, *, job: str, as_json: bool) -> None:
    """Show one job: its state, rows, tokens and cost.

    JOB is a job's id, or as much of its beginning as no other job has.
    """
    report = with_runner(ctx, lambda runner: runner.status(job))
    if as_json:
        print_json(report.to_json())
        return
    print_lines([*facts(report), f"  {'input':<10}{report.spec.input}"])
    print_lines(list(next_steps(report, command=command_of(report.spec))))
