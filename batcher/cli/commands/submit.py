"""``batcher submit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from batcher.cli.commands.workers import NOBODY, is_anybody_there
from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.job import INPUT
from batcher.cli.options.kind_group import KindGroup, delivery_from
from batcher.cli.options.setting import Setting
from batcher.cli.options.typed import typed
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import Session, run_session, settings_from
from batcher.cli.summary import next_steps, state
from batcher.core.job.urls import scheme_of, shown_url

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec
    from batcher.engine.job.report import Report


def submit_job(ctx: click.Context, spec: JobSpec) -> None:
    """Plan a job into the database, and print its id."""
    options, delivery = ctx.params, delivery_from(ctx)
    if delivery is not None and not options["quiet"]:
        say(*_missing_directory(delivery.output))

    async def work(session: Session) -> tuple[Report, bool]:
        del session
        from batcher.wiring import open_runner  # takes a while

        async with open_runner(settings_from(ctx)) as runner:
            if not options["server_side"]:
                told = None if options["quiet"] else say
                report = await runner.submit(
                    spec, fresh=options["fresh"], delivery=delivery, on_told=told
                )
                idle = report.status == "open" and not await is_anybody_there(runner)
                return report, idle
            waiting = Waiting(spec, quiet=options["quiet"])
            report = await runner.ask(
                spec,
                fresh=options["fresh"],
                delivery=delivery,
                on_waiting=waiting,
                on_refused=waiting.refused,
            )
            return report, False

    report, idle = run_session(work)
    if options["as_json"]:
        print_json(report.to_json())
    else:
        print_lines([report.job])
    if report.exit_code:
        say(state(report), *next_steps(report, command=typed(ctx)))
    if idle:
        say(NOBODY.format(what="nothing is sent"))
    if not report.exit_code and not options["quiet"] and not options["as_json"]:
        say(*_told(report, here=not options["server_side"]).splitlines())
    ctx.exit(report.exit_code)


def _missing_directory(output: str) -> list[str]:
    """A note where the output's directory is not here: it may be where the workers are."""
    folder = Path(output).parent
    if scheme_of(output) is not None or "{" in str(folder) or folder.is_dir():
        return []
    return [
        f"note: {output}: there is no directory {folder.absolute()} on this machine; make it "
        "wherever workers run, or they cannot deliver"
    ]


class Waiting:
    """Says once what is waited for, once that nobody is there to do it, and who may not."""

    def __init__(self, spec: JobSpec, *, quiet: bool) -> None:
        self._input = shown_url(spec.input)
        self._quiet = quiet
        self._said = False
        self._said_alone = False
        self._reasons: set[str] = set()

    def refused(self, reason: str) -> None:
        """A worker has left it to others."""
        if reason not in self._reasons:
            self._reasons.add(reason)
            say(f"a worker has left it to others: {reason}")

    def __call__(self, alive: int) -> None:
        """``alive`` workers are there."""
        if not self._said and not self._quiet:
            self._said = True
            say(
                f"waiting for a worker to check {self._input}; "
                "it is checked even if you do not wait"
            )
        if not alive and not self._said_alone:
            self._said_alone = True
            say("no worker is alive: `batcher worker` starts one on this database")


def _told(report: Report, *, here: bool) -> str:
    if report.status == "complete" and report.incremental and not report.requests:
        return "Nothing of this job has to be sent: it is complete."
    if report.status == "complete":
        already = "was complete already: nothing is sent" if here else "is complete"
        return f"This job {already}. --fresh runs it again."
    rows = count(report.rows, "row")
    done = f"{rows} are planned; workers send them" if here else f"workers plan and send {rows}"
    deliver = "" if report.delivery is None else f" and deliver to {report.delivery.output}"
    return f"{done}{deliver}. To see how far they are:\n  batcher watch {report.job}"


def _server_side() -> list[Setting]:
    return [
        Setting(
            "--server-side", heading=INPUT, is_flag=True,
            help="Have a worker read the input: INPUT is a path as the workers see it, or an "
            "http(s) URL, which is kept in the database as it is.",
        )
    ]  # fmt: skip


submit = KindGroup(
    name="submit",
    action=submit_job,
    sends=False,
    delivers=True,
    own_options=_server_side,
    json_help="Print the job's report as JSON instead of its id.",
    help="""Plan a job here, and leave the sending to workers. Prints the job's id.

    The input is checked and planned on this machine, straight into the database; workers begin with
    the first part while the rest is still being planned. If this command ends early, the same
    command goes on. Workers need the database and the provider's key, and not the input; those of
    many machines a Redis, too.

    With -o workers deliver the results when the job is complete, again and again until it works;
    `batcher status` says how that stands. The path is as the workers see it, and a relative one
    begins where they were started. Its name may hold {date}, {job} and {name}. Without -o the
    results stay in the database: `batcher export JOB -o OUTPUT` writes them.

    With --server-side a worker does all of that: INPUT is a path as the workers see it, or an
    http(s) URL. This command waits until one has checked it, and says what is wrong with it
    (exit 2).

    Other options are those of `batcher run`.
    """,
    short_help="Plan a job, then leave it to workers.",
    subcommand_metavar="KIND INPUT [-o OUTPUT] [OPTIONS] | JOB.toml [OPTIONS]",
    examples=(
        "batcher submit embed articles.csv -o /data/vectors.parquet --text body "
        "--model text-embedding-3-small",
        "batcher watch $(batcher submit nightly.toml)",
        "batcher submit embed https://example.com/articles.csv --server-side --text body \\\n"
        "-o '/data/{name}-{date}.parquet' --name articles --model text-embedding-3-small",
    ),
)
