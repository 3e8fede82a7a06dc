"""``batcher errors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import with_job

if TYPE_CHECKING:
    from batcher.core.model import DeadLetter
    from batcher.engine.runner import Runner


@command(
    "errors",
    json="Print one JSON object a line, as in the errors file.",
    params=[JobArgument()],
    examples=("batcher errors 1ng6", "batcher errors 1ng6 --json | jq -r .code | sort | uniq -c"),
)
def errors(ctx: click.Context, *, job: str | None, as_json: bool) -> None:
    """Show the rows that failed for good, and why, in input order."""

    async def show(runner: Runner, job: str) -> int:
        from batcher.engine.job.results import error_record

        shown = 0
        async for letter in runner.errors(job):
            shown += 1
            if as_json:
                print_json(error_record(letter))
            else:
                print_lines([describe(letter)])
        return shown

    if not with_job(ctx, job, show):
        say("no row failed for good")


def describe(letter: DeadLetter) -> str:
    """A dead letter in a line."""
    name = f"row {letter.row}"
    if letter.id != letter.row:
        name += f" (id {letter.id})"
    return f"{name}: {letter.code}, {count(letter.attempts, 'attempt')}: {letter.message}"
