"""``batcher results``."""

from __future__ import annotations

import click

from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.layers import files_of
from batcher.cli.options.setting import Setting
from batcher.cli.session import with_job


@command(
    "results",
    json=None,
    params=[
        JobArgument(),
        Setting(
            "--output-format", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl",
            default_text="jsonl", help="Format of the records.",
        ),
    ],
    examples=("batcher results | head -3", "batcher results 1ng6 | jq -r .label | sort | uniq -c"),
)  # fmt: skip
def results(ctx: click.Context, *, job: str | None, output_format: str) -> None:
    """Print the results that a job has by now, in input order, whether it is complete or not.

    They are the records of its output: `batcher export` writes them to a file.
    """
    with_job(
        ctx,
        job,
        lambda runner, one: runner.export(
            one, output="-", output_format=output_format, partial=True, protect=files_of(ctx)
        ),
    )
