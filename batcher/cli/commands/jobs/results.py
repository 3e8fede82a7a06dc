"""``batcher results``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.layers import files_of
from batcher.cli.options.setting import Setting
from batcher.cli.session import with_job
from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from batcher.engine.runner import Runner


@command(
    "results",
    json=None,
    params=[
        JobArgument(),
        Setting(
            "--limit", metavar="N", type=click.IntRange(min=1), help="At most this many records.",
        ),
        Setting(
            "--after", metavar="ROW", type=click.IntRange(min=0),
            help="Only the records of rows behind the one of this number, from 0.",
        ),
        Setting("--id", metavar="ID", help="Only the record of the row with this id."),
        Setting(
            "--output-format", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl",
            default_text="jsonl", help="Format of the records.",
        ),
    ],
    examples=(
        "batcher results --limit 3",
        "batcher results 1ng6 --id A-17",
        "batcher results 1ng6 | jq -r .label | sort | uniq -c",
    ),
)  # fmt: skip
def results(
    ctx: click.Context,
    *,
    job: str | None,
    limit: int | None,
    after: int | None,
    id: str | None,
    output_format: str,
) -> None:
    """Print the results that a job has by now, in input order, whether it is complete or not.

    They are the records of its output: `batcher export` writes them to a file. Of a large job, some
    are found without reading the others.
    """
    if id is not None and (limit is not None or after is not None):
        raise UsageError("--id names one row, and --limit and --after some: choose one")

    async def show(runner: Runner, one: str) -> None:
        if id is not None:
            await runner.records.write_one(one, output_format, id)
        elif limit is not None or after is not None:
            last = await runner.records.write_some(
                one, output_format, after=-1 if after is None else after, limit=limit
            )
            if last is not None:
                say(f"those behind row {last} follow with --after {last}")
        else:
            await runner.export(
                one, output="-", output_format=output_format, partial=True, protect=files_of(ctx)
            )

    with_job(ctx, job, show)
