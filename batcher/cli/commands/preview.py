"""``batcher preview``."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import orjson

from batcher.cli.failure import say
from batcher.cli.figures import count, money
from batcher.cli.options.job import INPUT
from batcher.cli.options.kind_group import KindGroup
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import Session, run_session

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec
    from batcher.engine.job.results import Result
    from batcher.engine.opening.preview import Preview, PreviewedRequest

_NUMBERS_SHOWN = 4


def preview_job(ctx: click.Context, spec: JobSpec) -> None:
    """Print the requests of a few rows, and their answers if they are to be sent."""
    send = ctx.params["send"]

    async def work(session: Session) -> Preview:
        from batcher.settings import Settings
        from batcher.wiring import open_runner

        async with open_runner(Settings(database_url="memory://")) as runner:
            session.interrupt = runner.interrupt
            return await runner.preview(spec, send=send, on_told=say)

    preview = run_session(work)
    if ctx.params["as_json"]:
        print_json(preview.to_json())
    else:
        print_lines(list(_lines(preview)))
    if preview.report is not None and preview.report.status != "complete":
        say(f"{preview.report.status}: {preview.report.reason or 'it ended early'}")
    ctx.exit(0 if preview.report is None else preview.report.exit_code)


def _lines(preview: Preview) -> Iterator[str]:
    where = "a simulated provider" if preview.base_url == "simulate" else preview.base_url
    for number, request in enumerate(preview.requests, 1):
        yield f"request {number} of {len(preview.requests)}: {_facts(request)}"
        yield f"POST {request.path} at {where}"
        yield from _body(request)
        for row in dict.fromkeys(request.rows):
            yield from _answers(preview, row)
        yield ""
    for letter in preview.unsendable:
        yield f"row {_named(letter.row, letter.id)} is not sent: {letter.code}: {letter.message}"
    if preview.report is None:
        yield "Nothing was sent. --send sends these rows, and shows the answers and what they cost."
    else:
        simulated = " (simulated: nothing was paid)" if preview.base_url == "simulate" else ""
        yield f"{count(preview.report.requests, 'request')} sent: {_cost(preview)}{simulated}"


def _facts(request: PreviewedRequest) -> str:
    rows = [
        _named(row, id_) for row, id_ in dict.fromkeys(zip(request.rows, request.ids, strict=True))
    ]
    word = "row" if len(rows) == 1 else "rows"
    most = request.completion_tokens_at_most
    out = (
        ""
        if most == 0
        else "; no limit on the answer"
        if most is None
        else f", {most:,} out at most"
    )
    return f"{word} {', '.join(rows)}; {count(request.tokens, 'token')} in{out}"


def _named(row: int, id_: Any) -> str:
    return str(row) if id_ is None or id_ == row else f"{row} ({id_})"


def _body(request: PreviewedRequest) -> list[str]:
    try:
        pretty = orjson.dumps(orjson.loads(request.body), option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:
        pretty = request.body
    return pretty.decode().splitlines()


def _answers(preview: Preview, row: int) -> Iterator[str]:
    for result in preview.results:
        if result.row == row:
            spent = "" if result.cost_usd is None else f", {money(Decimal(str(result.cost_usd)))}"
            tokens = f"{result.prompt_tokens:,} in, {result.completion_tokens:,} out"
            yield f"answer for row {_named(row, result.id)}: {_said(result)}"
            yield f"  {tokens}{spent}, {result.model or preview.model}"
    for letter in preview.failed:
        if letter.row == row:
            yield f"row {_named(row, letter.id)} failed: {letter.code}: {letter.message}"


def _said(result: Result) -> str:
    parts = [orjson.dumps(result.value).decode()] if result.value or result.vector is None else []
    if result.vector is None:
        return parts[0]
    shown = ", ".join(f"{number:.4f}" for number in result.vector[:_NUMBERS_SHOWN])
    parts.append(f"[{shown}, …], {count(len(result.vector), 'dimension')}")
    return ", ".join(parts)


def _cost(preview: Preview) -> str:
    return (
        "unknown price (--price IN,OUT gives one)"
        if preview.cost_usd is None
        else money(preview.cost_usd)
    )


def _send() -> list[Setting]:
    return [
        Setting(
            "--send", heading=INPUT, is_flag=True,
            help="Send these rows, and show the answers and what they cost; nothing is kept.",
        )
    ]  # fmt: skip


preview = KindGroup(
    name="preview",
    action=preview_job,
    sends=False,
    own_options=_send,
    json_help="Print the requests, and the answers, as JSON.",
    help="""Show the exact requests of the first rows: bodies, tokens, and whose they are.

    The first three rows are shown, or as many as -n says. The whole input is checked, and these
    rows are planned, as `batcher run` with the same options and `--limit` would do it. Nothing is
    sent unless --send says so, and nothing is kept: no job, no entry in the database. What --send
    shows is paid for, and sent again by a run.
    """,
    short_help="Show the exact requests of a few rows.",
    subcommand_metavar="KIND INPUT [-n 3] [--send] [OPTIONS] | JOB.toml [OPTIONS]",
    examples=(
        "batcher preview classify tickets.csv --text body --labels billing,bug --model gpt-6-luna",
        "batcher preview nightly.toml -n 1 --send",
    ),
)
