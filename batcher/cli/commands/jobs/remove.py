"""``batcher rm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import command
from batcher.cli.options.command_line import short_of_here
from batcher.cli.output import print_json
from batcher.cli.session import with_runner

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from batcher.engine.job.report import Report
    from batcher.engine.runner import Runner


class JobArguments(click.Argument):
    """``JOB...``: each must be named."""

    def __init__(self) -> None:
        super().__init__(["jobs"], nargs=-1, required=True, metavar="JOB...")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The jobs that there are."""
        from batcher.cli.options.suggestions import job_items

        return job_items(ctx, incomplete)


@command(
    "rm",
    short_help="Delete jobs and what is kept of them.",
    json="Print the reports of the jobs that are gone as a JSON array.",
    params=[JobArguments()],
    examples=("batcher rm 1ng6",),
)
def rm(ctx: click.Context, *, jobs: tuple[str, ...], as_json: bool) -> None:
    """Delete jobs, whatever their state, with the plan, results and errors that are kept of them.

    There is no confirmation, so each job must be named. A job that a process or a worker works on
    is refused. Output files stay, and so do the other jobs' results. The command of a deleted job
    would send everything again.
    """
    gone: list[Report] = []

    async def remove(runner: Runner) -> None:
        try:
            for job in jobs:
                gone.append(report := await runner.remove(job))
                if not as_json:
                    say(*_told(report))
        finally:
            if gone:
                await runner.give_back()

    with_runner(ctx, remove)
    if as_json:
        print_json([report.to_json() for report in gone])


def _told(report: Report) -> list[str]:
    what = [f"{count(report.rows_done, 'result')}", f"{count(report.rows_failed, 'failed row')}"]
    lines = [
        f"job {report.job} is deleted: {report.kind} of {report.spec.input}, with "
        f"{' and '.join(what)}"
    ]
    if report.last_output is not None:
        lines.append(f"  its output file stays: {short_of_here(report.last_output)}")
    return lines
