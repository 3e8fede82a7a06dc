"""``batcher export``."""

from __future__ import annotations

import click

from batcher.cli.command import JobArgument, command
from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.output import print_json
from batcher.cli.session import with_runner
from batcher.cli.setting import Setting
from batcher.core.errors import UsageError


@command(
    "export",
    json="Print the job's report as JSON.",
    params=[
        JobArgument(),
        Setting(
            "-o", "--output", metavar="PATH", required=True,
            help="Where the records go: .jsonl, .csv, .parquet or .npy, or - for standard output.",
        ),
        Setting(
            "--output-format", type=click.Choice(["jsonl", "csv", "parquet", "npy"]),
            help="Format of the output, where its name does not say it.",
        ),
        Setting("--partial", is_flag=True, help="Of a job that is not complete, what there is."),
    ],
    examples=(
        "batcher export 1ng6 -o vectors.npy",
        "batcher export 1ng6 -o - --output-format jsonl --partial | head",
    ),
)  # fmt: skip
def export(
    ctx: click.Context,
    *,
    job: str,
    output: str,
    output_format: str | None,
    partial: bool,
    as_json: bool,
) -> None:
    """Write a job's results, errors and manifest, in any format. Nothing is sent.

    The input is not needed any more. Each file is written beside its target and renamed when it is
    whole.
    """
    if as_json and output == "-":
        raise UsageError("--json and -o - both write to standard output: choose one")
    report = with_runner(
        ctx,
        lambda runner: runner.export(
            job, output=output, output_format=output_format, partial=partial
        ),
    )
    if as_json:
        print_json(report.to_json())
        return
    left_out = [f"{count(report.rows_failed)} failed"] if report.rows_failed else []
    left_out += [f"{count(report.rows_left)} not done yet"] if report.rows_left else []
    without = f"; left out: {', '.join(left_out)}" if left_out else ""
    where = "standard output" if output == "-" else output
    say(f"{count(report.rows_done, 'row')} of job {report.job} written to {where}{without}")
