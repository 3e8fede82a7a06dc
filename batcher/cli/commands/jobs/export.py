"""``batcher export``."""

from __future__ import annotations

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import JobArgument, command
from batcher.cli.options.job import OUTPUT, output_options
from batcher.cli.options.layers import files_of
from batcher.cli.options.setting import Setting
from batcher.cli.output import check_stdout, print_json
from batcher.cli.session import with_job


@command(
    "export",
    json="Print the job's report as JSON.",
    params=[
        JobArgument(),
        *output_options(required=True),
        Setting(
            "--partial", is_flag=True, heading=OUTPUT,
            help="Write what there is of a job that is not complete.",
        ),
    ],
    examples=(
        "batcher export 1ng6 -o vectors.npy",
        "batcher export 1ng6 -o - --output-format jsonl --partial | head",
    ),
)  # fmt: skip
def export(
    ctx: click.Context,
    *,
    job: str | None,
    output: str,
    output_format: str | None,
    overwrite: bool,
    csv_safe: bool,
    failed_rows: str,
    partial: bool,
    as_json: bool,
) -> None:
    """Write a job's results, errors and manifest, in any format. Nothing is sent.

    The input is not needed any more. Each file is written beside its target and renamed when it is
    whole.
    """
    check_stdout(as_json=as_json, output=output)
    report = with_job(
        ctx,
        job,
        lambda runner, one: runner.export(
            one,
            output=output,
            output_format=output_format,
            partial=partial,
            overwrite=overwrite,
            protect=files_of(ctx),
            csv_safe=csv_safe,
            failed_rows=failed_rows,
        ),
    )
    if as_json:
        print_json(report.to_json())
        return
    left_out = [f"{count(report.rows_failed)} failed"] if report.rows_failed else []
    left_out += [f"{count(report.rows_left)} not done yet"] if report.rows_left else []
    how = "left out" if failed_rows == "omit" else "with null"
    without = f"; {how}: {', '.join(left_out)}" if left_out else ""
    where = "standard output" if output == "-" else output
    for note in report.notes:
        if note.startswith(("left out: ", "the input's columns")):  # what the file lacks
            say(f"note: {note}")
    if any(note.startswith("left out: ") for note in report.notes):
        say(f"the other rows of job {report.job} written to {where}{without}")
        return
    say(f"{count(report.rows_done, 'row')} of job {report.job} written to {where}{without}")
