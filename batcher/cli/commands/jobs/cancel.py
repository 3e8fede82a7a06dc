"""``batcher cancel``."""

from __future__ import annotations

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.output import print_json
from batcher.cli.session import with_job


@command(
    "cancel",
    json="Print the job's report as JSON.",
    params=[JobArgument()],
    examples=("batcher cancel 1ng6",),
)
def cancel(ctx: click.Context, *, job: str | None, as_json: bool) -> None:
    """Stop a job for good, in whatever process it runs.

    What is paid for is kept: `batcher export JOB --partial` writes it. The job's command begins a
    new job afterwards.
    """
    report = with_job(ctx, job, lambda runner, one: runner.cancel(one))
    if as_json:
        print_json(report.to_json())
        return
    say(f"job {report.job} is cancelled, with {count(report.rows_done, 'row')} done")
    if report.rows_done:
        say("To have these:", f"  batcher export {report.job} -o OUTPUT.jsonl --partial")
