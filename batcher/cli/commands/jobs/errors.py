"""``batcher errors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import with_job

if TYPE_CHECKING:
    from batcher.core.model import DeadLetter
    from batcher.engine.runner import Runner


@command(
    "errors",
    json="Print one JSON object a line, as in the errors file.",
    params=[
        JobArgument(),
        Setting(
            "--limit", metavar="N", type=click.IntRange(min=1), help="At most this many rows.",
        ),
        Setting(
            "--after", metavar="ROW", type=click.IntRange(min=0),
            help="Only rows behind the one of this number, from 0.",
        ),
    ],
    examples=("batcher errors 1ng6", "batcher errors 1ng6 --json | jq -r .code | sort | uniq -c"),
)  # fmt: skip
def errors(
    ctx: click.Context, *, job: str | None, limit: int | None, after: int | None, as_json: bool
) -> None:
    """Show the rows that failed for good, and why, in input order."""

    async def show(runner: Runner, job: str) -> int:
        from batcher.engine.job.results import error_record

        shown = last = 0
        async for letter in runner.errors(job, after=after):
            if shown == limit:
                say(f"those behind row {last} follow with --after {last}")
                break
            shown += 1
            last = letter.row
            if as_json:
                print_json(error_record(letter))
            else:
                print_lines([describe(letter)])
        return shown

    if not with_job(ctx, job, show):
        say("no row failed for good" if after is None else f"no row behind {after} failed for good")


def describe(letter: DeadLetter) -> str:
    """A dead letter in a line."""
    name = f"row {letter.row}"
    if letter.id != letter.row:
        name += f" (id {letter.id})"
    return f"{name}: {letter.code}, {count(letter.attempts, 'attempt')}: {letter.message}"
