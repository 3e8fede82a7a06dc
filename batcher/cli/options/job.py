"""The options that describe a job, as ``run`` and ``estimate`` share them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import click

from batcher.cli.options.setting import Pairs, Setting
from batcher.core.job.spec import JobSpec

INPUT = "Input"
MODEL = "Model and provider"
REPEATING = "Runs that repeat"
LIMITS = "Limits and budget"
TROUBLE = "When something goes wrong"
OUTPUT = "Output"
COMMON = "Common options"

_NEEDED_MOST = (
    "output", "model", "id", "limit", "base_url", "simulate", "max_cost", "rpm",
    "fresh", "quiet",
)  # fmt: skip

_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(JobSpec)
    if isinstance(field.default, str | int | float) and not isinstance(field.default, bool)
}


def job_options() -> list[Setting]:
    """Everything of a ``JobSpec`` that does not belong to a kind."""
    return [
        _job("--id", INPUT, "COLUMN", "Column that identifies a row; row numbers otherwise."),
        _job(
            "--format", INPUT, None, "Format of the input, where its name does not say it; that of "
            "a pipe is JSONL otherwise.",
            type=click.Choice(["csv", "json", "jsonl", "parquet"]),
        ),
        _job(
            "--delimiter", INPUT, "CHARACTER", "Separator of CSV fields: one character, or tab.",
            default_text="comma, or as the file shows",
        ),
        _job(
            "--encoding", INPUT, "NAME", "Encoding of a text input, such as cp1252 or utf-16.",
            default_text="UTF-8, or as the file shows",
        ),
        _job(
            "--max-input-bytes", INPUT, "BYTES",
            "The largest input that is copied from standard input, a pipe or a URL.", type=int,
            default_text="what the disk holds",
        ),
        _job(
            "--limit", INPUT, "ROWS",
            "Use only the first ROWS rows; another number is another job.", type=int, short="-n",
        ),
        _job(
            "--no-keep-input", INPUT, None, spec="keep_input", is_flag=True,
            help="Do not keep the input's columns for CSV and Parquet output; saves space.",
        ),
        _job(
            "--name", REPEATING, "NAME",
            "Name of this job and its repetitions, night after night; --since-last needs it.",
        ),
        _job(
            "--since-last", REPEATING, is_flag=True,
            help="Send only rows that are new, changed or failed since the last complete run of "
            "that --name, and carry the other results over. Rows are told apart by --id; without "
            "it by their number, so an inserted row changes all rows after it.",
        ),
        _job(
            "--model", MODEL, "NAME", "The model, as the provider knows it. Required.", short="-m"
        ),
        _job(
            "--provider", MODEL, "NAME",
            "A provider by its name in batcher.toml, [providers.NAME]: where it is, its key's "
            "variable, its headers, limits and prices.",
        ),
        _job(
            "--base-url", MODEL, "URL", "Where the API is, up to and including /v1.",
            envvar=["BATCHER_BASE_URL", "OPENAI_BASE_URL"],
        ),
        _job(
            "--api-version", MODEL, "VERSION",
            "Azure OpenAI's api-version; --model is the deployment then.",
        ),
        _job("--api-key-env", MODEL, "NAME", "The environment variable that holds the key."),
        _job(
            "--header", MODEL, "NAME:VALUE", spec="headers", multiple=True, type=Pairs(":"),
            help="One more HTTP header (repeatable); $NAME in it is read from the environment.",
        ),
        _job(
            "--param", MODEL, "NAME=VALUE", spec="params", multiple=True, type=Pairs("="),
            help="One more parameter in every request (repeatable), as JSON or text.",
        ),
        _job(
            "--service-tier", MODEL, None,
            "What a chat request asks for: flex is cheaper and slower, priority more expensive and "
            "faster, auto is what the provider's project is set to. Each answer is priced by the "
            "tier that served it.",
            type=click.Choice(["auto", "default", "flex", "priority"]),
        ),
        _job(
            "--idempotency-header", MODEL, "NAME",
            "The header with each request's idempotency key, the same in every attempt; off sends "
            "none.",
        ),
        _job(
            "--tokenizer", MODEL, "ENCODING",
            "A tiktoken encoding, where the model's is not known.",
        ),
        _job(
            "--simulate", MODEL, is_flag=True,
            help="Send to a built-in simulated provider: no key, no network, no cost.",
        ),
        _job(
            "--rpm", LIMITS, "N",
            "At most this many requests a minute; needed only where the provider's headers do not "
            "say it, or to leave room for others.", type=int,
        ),
        _job("--tpm", LIMITS, "N", "At most this many tokens a minute; as for --rpm.", type=int),
        _job("--concurrency", LIMITS, "N", "At most this many requests in flight.", type=int),
        _job(
            "--priority", LIMITS, None,
            "The job's share of the limit beside other jobs: each level gets twice the one below.",
            type=click.Choice(["high", "normal", "low"]),
        ),
        _job("--max-cost", LIMITS, "DOLLARS", "Stop before the job costs more than this."),
        _job(
            "--price", LIMITS, "IN,OUT",
            "Dollars per million tokens, for a model of unknown price; IN,OUT,CACHED,WRITTEN where "
            "reading from the provider's cache and writing to it have prices of their own.",
        ),
        _job("--max-inputs", LIMITS, "N",
             "Most inputs in one request, for servers with a lower limit.", type=int),
        _job("--max-request-tokens", LIMITS, "N", "Most tokens in one request, for such servers.",
             type=int),
        _job("--max-input-tokens", LIMITS, "N", "Most tokens in one input, for such servers.",
             type=int),
        _job(
            "--on-error", TROUBLE, None,
            "What to do at a row that fails for good: keep going, or stop there.",
            type=click.Choice(["keep", "stop"]),
        ),
        _job(
            "--on-bad-row", TROUBLE, None,
            "What to do at a row that cannot be read: stop before sending, or skip it and list it.",
            type=click.Choice(["stop", "skip"]),
        ),
        _job("--timeout", TROUBLE, "SECONDS", "Time limit of one request, answer included.",
             type=float),
        _job(
            "--max-answer-bytes", TROUBLE, "BYTES",
            "The largest answer that is read, decompressed; what exceeds it fails for good.",
            type=int, default_text="what the request can need",
        ),
        _job(
            "--outage-timeout", TROUBLE, "SECONDS", "Pause after this time without any success.",
            type=float,
        ),
        _job(
            "--grace-seconds", TROUBLE, "SECONDS",
            "How long requests in flight may still take when a run stops.", type=float,
        ),
        _job(
            "--cost-columns", OUTPUT, is_flag=True,
            help="Add prompt_tokens, completion_tokens, cost_usd and model to each record: what it "
            "cost, repairs and retries included, and the model as the provider named it.",
        ),
    ]  # fmt: skip


def run_options(*, hidden: bool = False) -> list[Setting]:
    """What is not part of the job but of running it here, besides its output."""
    return [
        Setting(
            "--fresh", heading=OUTPUT, is_flag=True, hidden=hidden,
            help="Begin again, even if the same job was run before; all of it is paid for again.",
        ),
        Setting(
            "-q", "--quiet", is_flag=True, hidden=hidden,
            help="No progress and no summary, only errors.",
        ),
        progress_option(hidden=hidden),
        *recording_options(hidden=hidden),
    ]  # fmt: skip


def recording_options(*, hidden: bool = False) -> list[Setting]:
    """Answers from a file, and into one."""
    return [
        Setting(
            "--via", heading=MODEL, nargs=2, type=(click.Choice(["replay"]), str), hidden=hidden,
            metavar="replay FILE",
            help="Take the answers from a file that --record wrote: no key, no network, no cost. A "
            "request that it does not know is answered by 404. It is another job than the one that "
            "was recorded.",
        ),
        Setting(
            "--record", heading=MODEL, metavar="FILE", hidden=hidden,
            help="Add every answer to a file, a line of JSON each, readable by its owner alone. "
            "Keys are struck; what the model said of the rows is in it.",
        ),
        Setting(
            "--record-requests", heading=MODEL, is_flag=True, hidden=hidden,
            help="Have --record keep what was asked as well, prompts and rows with it.",
        ),
    ]  # fmt: skip


def progress_option(*, hidden: bool = False) -> Setting:
    """How progress is shown."""
    return Setting(
        "--progress", hidden=hidden, type=click.Choice(["rich", "tqdm", "plain", "none"]),
        help="How progress is shown, on standard error: a live view, tqdm's bar (where tqdm is "
        "installed), a line every ten seconds, or not at all.",
        default_text="a live view on a terminal, a line every ten seconds elsewhere",
    )  # fmt: skip


def output_options(*, required: bool = False, hidden: bool = False) -> list[Setting]:
    """Where records are written, and in which format."""
    otherwise = "" if required else " Without it they stay in the database."
    return [
        Setting(
            "-o", "--output", heading=OUTPUT, metavar="PATH", hidden=hidden, required=required,
            help="Where the records go: .jsonl, .csv, .parquet or .npy, the first two also as .gz "
            "or .zst, or - for standard output; or the URL of an installed destination. Its name "
            f"may hold {{date}}, {{job}} and {{name}}.{otherwise}",
        ),
        Setting(
            "--output-format", heading=OUTPUT, hidden=hidden,
            type=click.Choice(["jsonl", "csv", "parquet", "npy"]),
            help="Format of the output, where its name does not say it.",
        ),
        Setting(
            "--overwrite", heading=OUTPUT, is_flag=True, hidden=hidden,
            help="Replace a file that stands where the output goes, even if no manifest beside it "
            "says that it belongs to this job, this command or this --name.",
        ),
        Setting(
            "--failed-rows", heading=OUTPUT, hidden=hidden, default="omit",
            type=click.Choice(["omit", "null"]), default_text="omit",
            help="Leave rows that failed out of the output, or have null for what they lack, so "
            "that it has every input row.",
        ),
        Setting(
            "--csv-safe", heading=OUTPUT, hidden=hidden, is_flag=True,
            help="Put a ' before what a spreadsheet would take for a formula in a CSV cell: texts "
            "that begin with =, +, -, @, a tab or a line break. Numbers stay.",
        ),
    ]  # fmt: skip


def _job(
    flag: str, heading: str, metavar: str | None = None, help: str = "", **more: Any
) -> Setting:
    name = flag[2:].replace("-", "_")
    spec = more.pop("spec", name)
    if name in _DEFAULTS:
        more.setdefault("default_text", _shown(_DEFAULTS[name]))
    flags = [short, flag] if (short := more.pop("short", None)) else [flag]
    return Setting(*flags, heading=heading, spec=spec, metavar=metavar, help=help, **more)


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def needed_first(settings: Sequence[Setting]) -> list[Setting]:
    """The options in the order in which help lists them: what most commands need comes first."""
    common = [s for s in settings if s.key in _NEEDED_MOST and not s.of_kind and not s.hidden]
    for setting in common:
        setting.heading = COMMON
    common.sort(key=lambda setting: _NEEDED_MOST.index(setting.key))
    return [*common, *(setting for setting in settings if setting not in common)]


def given(ctx: click.Context) -> Iterator[tuple[Setting, Any]]:
    """The options that somebody set, with their values."""
    for param in ctx.command.params:
        if isinstance(param, Setting) and param.is_given(ctx):
            value = ctx.params[param.name]
            if value is not None:
                yield param, value
