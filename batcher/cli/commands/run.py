"""``batcher run``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.options.kind_group import KindGroup
from batcher.cli.options.layers import files_of
from batcher.cli.options.typed import typed
from batcher.cli.output import check_stdout, print_json
from batcher.cli.screen.progress import Progress, shown
from batcher.cli.screen.screens import open_screen
from batcher.cli.session import Session, run_session, settings_from
from batcher.cli.summary import ending

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec
    from batcher.engine.job.report import Report
    from batcher.engine.telemetry.run_stats import RunStats


def run_job(ctx: click.Context, spec: JobSpec) -> None:
    """Run a job with its progress on the screen, and say how it ended."""
    options = ctx.params
    if options["via"]:
        spec = dataclasses.replace(spec, via=options["via"][0])
    if options["record_requests"] and not options["record"]:
        raise click.UsageError("--record-requests goes with --record FILE", ctx)
    check_stdout(as_json=options["as_json"], output=options["output"])
    screen = open_screen(
        quiet=options["quiet"], output=options["output"], progress=options["progress"]
    )
    progress = Progress(screen, grace_seconds=spec.grace_seconds)

    def begin(live: RunStats) -> None:
        progress.attach(live)

    async def work(session: Session) -> Report:
        session.announce = progress.announce
        async with shown(progress):
            from batcher.wiring import open_runner  # takes a while

            async with open_runner(settings_from(ctx)) as runner:
                session.interrupt = runner.interrupt
                return await runner.run(
                    spec,
                    output=options["output"],
                    output_format=options["output_format"],
                    csv_safe=options["csv_safe"],
                    failed_rows=options["failed_rows"],
                    fresh=options["fresh"],
                    overwrite=options["overwrite"],
                    protect=files_of(ctx),
                    on_live=begin,
                    on_told=progress.tell,
                )

    report = run_session(work)
    if not options["quiet"]:
        reading = progress.reading()
        lines = ending(
            report,
            command=typed(ctx),
            seconds=progress.elapsed,
            done_now=0 if reading is None else reading.done_now,
        )
        say(*lines)
    elif report.status != "complete":
        say(f"{report.status}: {report.reason or 'the run ended early'}")
    if options["as_json"]:
        print_json(report.to_json())
    ctx.exit(report.exit_code)


run = KindGroup(
    name="run",
    action=run_job,
    sends=True,
    json_help="Print the report as JSON on standard output at the end.",
    help="""Run a job, or go on where it stopped.

    The input is checked as a whole before anything is sent. The records come in the input's order,
    one for each row; rows that failed for good are listed in OUTPUT.errors.jsonl, and
    OUTPUT.manifest.json says what it took and cost. Whatever ends a run, the same command goes on:
    what is done is never sent again. A job that is complete sends nothing.

    Instead of KIND INPUT, a job file can be named, JOB.toml: its keys are the flags' names with
    underscores, and kind and input. Flags on the command line override it. A prompt's or labels'
    file that it names may be beside it; other paths begin at the working directory.
    `batcher run KIND --help` lists all options.
    """,
    short_help="Run a job, or go on where it stopped.",
    subcommand_metavar="KIND INPUT -o OUTPUT [OPTIONS] | JOB.toml [OPTIONS]",
    examples=(
        "batcher run embed articles.csv -o vectors.parquet --text body "
        "--model text-embedding-3-small",
        "batcher run nightly.toml --limit 100",
    ),
)
