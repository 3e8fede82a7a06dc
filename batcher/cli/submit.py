"""``batcher submit``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.kinds import KindGroup
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import Session, run_session, settings_from
from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from batcher.core.spec import JobSpec
    from batcher.engine.report import Report


def submit_job(ctx: click.Context, spec: JobSpec) -> None:
    """Plan a job into the database, and print its id."""
    options = ctx.params
    if options["output"] is not None:
        raise UsageError(
            "submit leaves the results in the database: leave -o out, and write them with "
            "`batcher export JOB -o OUTPUT` when the job is complete"
        )

    async def work(session: Session) -> Report:
        del session
        from batcher.wiring import open_runner  # takes a while

        async with open_runner(settings_from(ctx)) as runner:
            return await runner.submit(spec, fresh=options["fresh"])

    report = run_session(work)
    if options["as_json"]:
        print_json(report.to_json())
        return
    print_lines([report.job])
    if not options["quiet"]:
        say(_told(report))


def _told(report: Report) -> str:
    if report.status == "complete":
        return "This job was complete already: nothing is sent. --fresh runs it anew."
    return (
        f"{count(report.rows, 'row')} are planned; workers send them. To see how far they are:\n"
        f"  batcher watch {report.job}"
    )


submit = KindGroup(
    name="submit",
    action=submit_job,
    sends=False,
    json_help="Print the job's report as JSON instead of its id.",
    help="""Plan a job here, and leave the sending to workers. Prints the job's id.

    The input is checked and planned on this machine, straight into the database; workers begin with
    the first part while the rest is still being planned. If this command ends early, the same
    command goes on. Workers need the database, Redis and the provider's key, and not the input.

    Options are those of `batcher run`.
    """,
    short_help="Plan a job, then leave it to workers.",
    subcommand_metavar="KIND INPUT [OPTIONS] | JOB.toml [OPTIONS]",
    examples=(
        "batcher submit embed articles.csv --text body --model text-embedding-3-small",
        "batcher watch $(batcher submit nightly.toml)",
    ),
)
