"""``batcher simulate``."""

from __future__ import annotations

import asyncio
import ipaddress
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batcher.cli.failure import say
from batcher.cli.figures import count
from batcher.cli.options.command import command
from batcher.cli.options.setting import Setting
from batcher.cli.output import print_json, print_lines
from batcher.cli.session import Session, run_session
from batcher.core.errors import UsageError

if TYPE_CHECKING:
    from batcher.simulator import SimulatorConfig, Stats

LIMITS, MANNERS, FAULTS, WHERE = "Limits", "Answers", "Faults", "Where it listens"


def _option(flag: str, field: str | None, heading: str, help: str, **more: Any) -> Setting:
    """An option; ``field`` of the simulator's configuration."""
    name = flag[2:].replace("-", "_")
    more.setdefault("envvar", f"BATCHER_SIMULATE_{name.upper()}")
    return Setting(flag, field or name, heading=heading, help=help, **more)


def _rate(flag: str, field: str, help: str) -> Setting:
    return _option(flag, field, FAULTS, help, type=float, metavar="SHARE", default_text="0")


_LIST = _option(
    "--faults", None, FAULTS, "List the faults that a text may ask for, and exit.", is_flag=True
)
_WHERE = [
    _option(
        "--host", None, WHERE, "A loopback address.", default="127.0.0.1", default_text="127.0.0.1",
        metavar="ADDRESS",
    ),
    _option(
        "--port", None, WHERE, "The port; 0 takes a free one.", default=0, default_text="0",
        type=click.IntRange(0, 65535), metavar="N",
    ),
    _option(
        "--port-file", None, WHERE, "Write the port to this file once it listens.", metavar="FILE"
    ),
    _option(
        "--tokenizer", None, MANNERS, "The tiktoken encoding that usage and limits count with.",
        metavar="ENCODING", default="o200k_base", default_text="o200k_base",
    ),
]  # fmt: skip

_CONFIG = [
    _option("--rpm", "rpm", LIMITS, "Requests a minute, for each model.", type=float, metavar="N",
            default_text="unlimited"),
    _option("--tpm", "tpm", LIMITS, "Tokens a minute, for each model.", type=float, metavar="N",
            default_text="unlimited"),
    _option("--bucket-seconds", "bucket_seconds", LIMITS,
            "How much of a limit may be used at once, in seconds of its rate.", type=float,
            metavar="SECONDS", default_text="60"),
    _option("--limit-shape", "limit_shape", LIMITS,
            "Count in buckets that refill evenly, in fixed windows, or in sliding ones.",
            type=click.Choice(["bucket", "fixed", "sliding"]), default_text="bucket"),
    _option("--window", "window", LIMITS,
            "Length of a fixed or sliding window; it holds that much of a minute's limit.",
            type=float, metavar="SECONDS", default_text="60"),
    _option("--window-age", "window_age", LIMITS,
            "How old a fixed window is when the first request comes.", type=float,
            metavar="SECONDS", default_text="by the clock"),
    _option("--limit-unit", "limit_unit", LIMITS,
            "State the limit of a minute in the headers, or that of a bucket or window.",
            type=click.Choice(["minute", "window"]), default_text="minute"),
    _option("--charge", "charge", LIMITS,
            "Charge tokens for good at admission, or correct it to the real usage afterwards.",
            type=click.Choice(["admission", "usage"]), default_text="admission"),
    _option("--no-headers", "rate_limit_headers", LIMITS, "Leave out the x-ratelimit headers.",
            is_flag=True),
    _option("--no-retry-after", "retry_after", LIMITS, "Leave retry-after out of a 429.",
            is_flag=True),
    _option("--max-inputs", "max_inputs", LIMITS, "Inputs in one embeddings request.", type=int,
            metavar="N", default_text="2048"),
    _option("--max-request-tokens", "max_request_tokens", LIMITS,
            "Tokens in one embeddings request.", type=int, metavar="N", default_text="300000"),
    _option("--max-input-tokens", "max_input_tokens", LIMITS, "Tokens in one embeddings input.",
            type=int, metavar="N", default_text="8192"),
    _option("--context-window", "context_window", LIMITS,
            "Tokens of a chat's messages and its answer.", type=int, metavar="N",
            default_text="128000"),
    _option("--latency", "latency_ms", MANNERS, "Mean time that an answer takes.", type=float,
            metavar="MS", default_text="0"),
    _option("--latency-spread", "latency_spread", MANNERS,
            "Sigma of the lognormal latency; 0 is a fixed one.", type=float, metavar="SIGMA",
            default_text="0"),
    _option("--dimensions", "dimensions", MANNERS, "Length of a vector.", type=int, metavar="N",
            default_text="1536"),
    _option("--output-tokens", "output_tokens", MANNERS, "Mean length of a chat answer.", type=int,
            metavar="N", default_text="24"),
    _option("--cached-share", "cached_share", MANNERS,
            "Share of a chat's prompt that usage says was read from the cache.", type=float,
            metavar="SHARE", default_text="0"),
    _option("--cache-written-share", "written_share", MANNERS,
            "Share of it that usage says was written to the cache.", type=float, metavar="SHARE",
            default_text="0"),
    _option("--reasoning-tokens", "reasoning_tokens", MANNERS,
            "Reasoning before a chat answer: billed and not shown.", type=int, metavar="N",
            default_text="0"),
    _option("--rejected-tokens", "rejected_tokens", MANNERS,
            "Output of a prediction that a chat answer does not use: billed and not shown.",
            type=int, metavar="N", default_text="0"),
    _option("--project-tier", "project_tier", MANNERS,
            "The service tier of chat requests that name none, or auto.",
            type=click.Choice(["default", "flex", "priority"]), default_text="default"),
    _option("--no-usage", "usage", MANNERS, "Leave usage out of answers.", is_flag=True),
    _option("--idempotency", "idempotency", MANNERS,
            "Keep answers for their Idempotency-Key, and serve them again without a charge.",
            is_flag=True),
    _option("--api-key", "api_key", MANNERS, "Answer 401 to any other key.", metavar="KEY"),
    _option("--seed", "seed", FAULTS, "Seed of the random faults and latencies.", type=int,
            metavar="N", default_text="0"),
    _rate("--errors", "error_rate", "Share of requests answered 500."),
    _rate("--hang-rate", "hang_rate", "Share never answered."),
    _rate("--disconnect-rate", "disconnect_rate", "Share cut off in the middle of the answer."),
    _rate("--garbage-rate", "garbage_rate", "Share answered 200 with a body that is not JSON."),
    _option("--outage", "outage", FAULTS, "Answer everything 503, or reset every connection.",
            type=click.Choice(["503", "reset"])),
]  # fmt: skip
_NEGATED = {"rate_limit_headers", "retry_after", "usage"}


@command(
    "simulate",
    json='Print {"base_url": …} when it listens, and {"stats": …} at the end; of --faults, a map.',
    params=[*_CONFIG, _LIST, *_WHERE],
    profile=False,
    examples=(
        "batcher simulate --rpm 500 --tpm 30000 --latency 300 --errors 0.01 --port 8080",
        "batcher simulate --faults | grep 429",
        "OPENAI_API_KEY=any batcher run embed articles.csv -o vectors.parquet --text body \\\n"
        "--model text-embedding-3-small --base-url http://127.0.0.1:8080/v1",
    ),
)
def simulate(
    ctx: click.Context,
    *,
    host: str,
    port: int,
    port_file: str | None,
    tokenizer: str,
    faults: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Be an OpenAI-compatible provider on this machine, with real limits and faults.

    It speaks chat completions, embeddings and models, for any model name, also under Azure's
    paths. Answers are made up, and the same for the same request. It runs until Ctrl-C and then
    says what it saw. GET /_stats tells the counts meanwhile; POST /_config changes settings.

    A text that holds [[fault=NAME]] meets that fault, with [[fault=NAME*2]] the first two times it
    is seen; several in one text act one after the other. --faults lists the names.
    """
    if faults:
        _list_faults(as_json=as_json)
        return
    _require_loopback(host)
    config = _config(ctx, settings)

    async def work(session: Session) -> Stats:
        from batcher.adapters.providers.tokenizer import open_tokenizer
        from batcher.simulator import serve

        count_tokens = open_tokenizer("", tokenizer).count
        ended = asyncio.Event()

        def end() -> bool:
            ended.set()
            return True

        session.interrupt = end
        session.announce = lambda settles: None
        async with AsyncExitStack() as stack:
            serving = serve(
                config, host=host, port=port, count_tokens=lambda text: count_tokens([text])[0]
            )
            try:
                simulator = await stack.enter_async_context(serving)
            except OSError as exc:
                reason = os.strerror(exc.errno) if exc.errno else str(exc)
                raise UsageError(f"--port {port}: nothing can listen there: {reason}") from exc
            if port_file is not None:
                _write_port(Path(port_file), simulator.url.rpartition(":")[2])
            if as_json:
                print_json({"base_url": simulator.base_url})
            say(*_greeting(simulator.base_url).splitlines())
            await ended.wait()
            return simulator.stats

    stats = run_session(work)
    say(*_farewell(stats).splitlines())
    if as_json:
        print_json({"stats": stats.snapshot()})


def _list_faults(*, as_json: bool) -> None:
    from batcher.simulator.faults.due import FAULTS as ALL

    if as_json:
        print_json(ALL)
    else:
        width = max(map(len, ALL))
        print_lines([f"{name:<{width}}  {summary}" for name, summary in ALL.items()])


def _config(ctx: click.Context, values: dict[str, Any]) -> SimulatorConfig:
    from batcher.simulator import SimulatorConfig

    settings: dict[str, Any] = {
        name: not value if name in _NEGATED else value
        for name, value in values.items()
        if value is not None
    }
    try:
        return SimulatorConfig(**settings)
    except ValueError as exc:
        raise click.UsageError(_in_flags(str(exc)), ctx) from exc


def _in_flags(message: str) -> str:
    """A message about fields, with the flags' names in their place."""
    for setting in _CONFIG:
        message = message.replace(setting.name or "", setting.opts[0])
    return message


def _require_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise UsageError(
            f"--host {host}: the simulator listens on this machine alone: 127.0.0.1, ::1 or "
            "localhost"
        )


def _write_port(path: Path, port: str) -> None:
    """Whole or absent: whoever waits for the file may read it at once."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(f"{port}\n", encoding="ascii")
    part.replace(path)


def _greeting(base_url: str) -> str:
    return (
        f"simulating a provider at {base_url} (Ctrl-C ends it); to use it:\n"
        "  OPENAI_API_KEY=any batcher run embed INPUT.csv -o OUTPUT.jsonl --text COLUMN \\\n"
        f"      --model text-embedding-3-small --base-url {base_url}"
    )


def _farewell(stats: Stats) -> str:
    ends = [f"{n:,} answered {status}" for status, n in sorted(stats.by_status.items())]
    if unanswered := stats.requests - sum(stats.by_status.values()):
        ends.append(f"{unanswered:,} without an answer")
    faults = ", ".join(f"{n:,} × {name}" for name, n in sorted(stats.faults.items()))
    lines = [
        count(stats.requests, "request") + (f": {', '.join(ends)}" if ends else ""),
        f"worked on {count(stats.requests_served)} of them: {count(stats.inputs_served)} texts or "
        f"prompts ({count(stats.inputs_served_twice)} of these equal to an earlier one), "
        f"{count(stats.prompt_tokens)} tokens in, {count(stats.completion_tokens)} out; at most "
        f"{count(stats.max_in_flight)} requests at a time",
    ]
    if stats.requests_replayed:
        lines.append(
            f"answered {count(stats.requests_replayed, 'request')} from what was kept for an "
            "idempotency key, without any work"
        )
    return "\n".join([*lines, f"faults: {faults}"] if faults else lines)
