"""``batcher pause`` and ``batcher resume``."""

from __future__ import annotations

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.output import print_json
from batcher.cli.session import with_job


@command(
    "pause",
    json="Print the job's report as JSON.",
    params=[JobArgument()],
    examples=("batcher pause 1ng6",),
)
def pause(ctx: click.Context, *, job: str | None, as_json: bool) -> None:
    """Stop sending a job's requests, wherever it is being run.

    Requests in flight get their answers, which are kept. `batcher resume JOB` lets workers go on; a
    job that `batcher run` began goes on with its command.
    """
    report = with_job(ctx, job, lambda runner, one: runner.pause(one))
    if as_json:
        print_json(report.to_json())
        return
    say(f"job {report.job} is paused, with {count(report.rows_done, 'row')} done. To go on:")
    say(f"  batcher resume {report.job}      # where workers serve it; else its own command")


@command(
    "resume",
    json="Print the job's report as JSON.",
    params=[JobArgument()],
    examples=("batcher resume 1ng6",),
)
def resume(ctx: click.Context, *, job: str | None, as_json: bool) -> None:
    """Let workers go on with a paused job.

    A job that a provider paused until some time goes on by itself then.
    """
    report = with_job(ctx, job, lambda runner, one: runner.resume(one))
    if as_json:
        print_json(report.to_json())
        return
    say(
        f"job {report.job} is open, with {count(report.rows_left, 'row')} left: workers go on with "
        "it, or its own command does"
    )
