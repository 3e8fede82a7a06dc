"""``batcher estimate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from batcher.cli.failure import say
from batcher.cli.figures import count, duration, money
from batcher.cli.options.kind_group import KindGroup
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import Session, run_session, settings_from
from batcher.cli.summary import compared
from batcher.core.errors import NoDatabase

if TYPE_CHECKING:
    from batcher.core.job.spec import JobSpec
    from batcher.engine.opening.estimate import Estimate


def estimate_job(ctx: click.Context, spec: JobSpec) -> None:
    """Plan a job in full and print what it would take."""

    async def work(session: Session) -> Estimate:
        from batcher.settings import Settings
        from batcher.wiring import open_runner

        del session
        nowhere = Settings(database_url="memory://")
        try:
            # Only what is compared with a former job needs the database, and changes nothing there.
            there = settings_from(ctx, create=False) if spec.since_last else nowhere
            async with open_runner(there) as runner:
                return await runner.estimate(spec, on_told=say)
        except NoDatabase:
            async with open_runner(nowhere) as runner:
                return await runner.estimate(spec, on_told=say)

    estimated = run_session(work)
    if ctx.params["as_json"]:
        print_json(estimated.to_json())
    else:
        print_lines(_lines(estimated))


def _lines(estimated: Estimate) -> list[str]:
    rows = count(estimated.rows)
    if estimated.rows_unusable:
        rows += f", of which {count(estimated.rows_unusable)} cannot be sent"
    return [
        f"{estimated.kind} with {estimated.model}",
        f"  rows      {rows}",
        *([f"  since     {compared(compare)}"] if (compare := estimated.incremental) else []),
        f"  requests  {count(estimated.requests)}",
        f"  tokens    {_tokens(estimated)}",
        f"  cost      {_cost(estimated)}",
        f"  time      {_time(estimated)}",
    ]


def _tokens(estimated: Estimate) -> str:
    prompt = f"{count(estimated.prompt_tokens)} in"
    if estimated.completion_tokens_at_most is None:
        why = f"{estimated.unbounded_by}; " if estimated.unbounded_by else ""
        return f"{prompt}; answers have no limit ({why}--max-tokens gives them one)"
    if estimated.completion_tokens_at_most == 0:
        return prompt
    more = ", without what the model thinks" if estimated.thinking_unbounded else ""
    return f"{prompt}, {count(estimated.completion_tokens_at_most)} out at most{more}"


def _cost(estimated: Estimate) -> str:
    if estimated.cost_usd is None:
        return "unknown: no price for this model (--price IN,OUT gives one)"
    if estimated.cost_usd_at_most is None:
        return f"{money(estimated.cost_usd)} and what the answers cost"
    if estimated.cost_usd_at_most == estimated.cost_usd:
        return money(estimated.cost_usd)
    amounts = f"{money(estimated.cost_usd)} to {money(estimated.cost_usd_at_most)}"
    if not estimated.thinking_unbounded:
        return amounts
    return (
        f"{amounts}, and what the model thinks before it answers (--max-tokens or "
        "--param reasoning_effort=none bounds it)"
    )


def _time(estimated: Estimate) -> str:
    if estimated.seconds is None:
        return "as the provider's limit allows (give --rpm or --tpm to know it beforehand)"
    return f"{duration(estimated.seconds)} at the limit given"


estimate = KindGroup(
    name="estimate",
    action=estimate_job,
    sends=False,
    json_help="Print the figures as JSON.",
    help="""Tell what a job would take: rows, requests, tokens, cost and time. Nothing is sent.

    The whole input is checked and planned as `batcher run` would do it, and nothing is kept. All
    options of `run` are understood, so you can exchange the word in a command line; those
    about the output mean nothing here.
    """,
    short_help="Tell what a job would take; send nothing.",
    subcommand_metavar="KIND INPUT [OPTIONS] | JOB.toml [OPTIONS]",
    examples=(
        "batcher estimate embed articles.csv --text body --model text-embedding-3-small --rpm 500",
        "batcher estimate nightly.toml --json",
    ),
)
