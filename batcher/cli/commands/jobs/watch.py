"""``batcher watch``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.command_line import command_of
from batcher.cli.options.job import progress_option
from batcher.cli.output import print_json
from batcher.cli.screen.progress import Progress, shown
from batcher.cli.screen.screens import open_screen
from batcher.cli.session import Session, job_or_last, run_session, settings_from
from batcher.cli.summary import facts, next_steps

if TYPE_CHECKING:
    from batcher.engine.job.report import Report


@command(
    "watch",
    json="Print the job's report as JSON at the end.",
    params=[JobArgument(), progress_option()],
    examples=("batcher watch 1ng6",),
)
def watch(ctx: click.Context, *, job: str | None, progress: str | None, as_json: bool) -> None:
    """Follow a job that others work on, until it is complete and delivered, or stopped.

    This works from any machine that reaches the database, and ending it ends nothing else. The
    exit code is that of `batcher run`: 0 complete, 3 with rows that failed for good, 4 stopped
    by its budget, 5 paused, 1 cancelled. A job that workers deliver is followed until they have.
    Where an attempt at that fails, the exit code is the one that `batcher run -o` would have
    had, such as 2 where the output is not the job's; workers try again all the same.
    """
    screen = open_screen(quiet=as_json and progress is None, output=None, progress=progress)
    shown_by = Progress(screen, activity="looking at the job")

    async def work(session: Session) -> Report:
        session.announce = lambda settles: None
        from batcher.wiring import open_runner  # takes a while

        async with open_runner(settings_from(ctx, create=False)) as runner:
            named = await job_or_last(runner, job)
            async with shown(shown_by):
                return await runner.watch(named, on_live=shown_by.attach)

    report = run_session(work)
    if as_json:
        print_json(report.to_json())
    else:
        command = command_of(report.spec, output=report.last_output)
        say(*facts(report), *next_steps(report, command=command))
    ctx.exit(report.exit_code)
