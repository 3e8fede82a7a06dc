"""``batcher retry``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.command_line import command_of
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json
from batcher.cli.session import with_job
from batcher.cli.summary import by_code

if TYPE_CHECKING:
    from batcher.engine.job.report import Report
    from batcher.engine.runner import Runner


@command(
    "retry",
    json="Print the job's report as JSON, with the number of rows reopened.",
    params=[
        JobArgument(),
        Setting(
            "--code", "codes", multiple=True, metavar="CODE", envvar="BATCHER_RETRY_CODE",
            help="Only rows that failed with this code, such as server_error (repeatable).",
        ),
    ],
    examples=("batcher retry 1ng6", "batcher retry --code server_error --code timeout"),
)  # fmt: skip
def retry(ctx: click.Context, *, job: str | None, codes: tuple[str, ...], as_json: bool) -> None:
    """Reopen the rows that failed for good, except those that are empty or malformed.

    Nothing is sent by this: the job's own command sends them, and writes its output anew.
    """
    before, (report, reopened) = with_job(ctx, job, partial(_retry, codes=codes))
    again = command_of(report.spec, output=report.last_output)
    if as_json:
        print_json({**report.to_json(), "reopened": reopened, "command": again})
    elif reopened:
        say(
            f"{count(reopened, 'failed row')} of job {report.job} reopened "
            f"({by_code(_reopenable(before, codes))}). To send "
            f"{'it' if reopened == 1 else 'them'}, run the job again:",
            f"  {again}",
        )
    elif report.rows_failed:
        say(
            f"nothing to reopen: {count(report.rows_failed, 'row')} of the input cannot be sent "
            f"({by_code(report.failed_by_code)})"
        )
    else:
        say(f"nothing to reopen: no row of job {report.job} failed for good")


async def _retry(
    runner: Runner, job: str, *, codes: tuple[str, ...]
) -> tuple[Report, tuple[Report, int]]:
    return await runner.status(job), await runner.retry(job, codes=codes)


def _reopenable(report: Report, codes: tuple[str, ...]) -> dict[str, int]:
    return {
        one.code: one.dead_letters
        for one in report.failures
        if not one.final and (not codes or one.code in codes)
    }
