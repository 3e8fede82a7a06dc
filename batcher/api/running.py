"""Jobs run from Python: what ``batcher run`` does, on a thread of its own, so anywhere."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, overload

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.api.inputs import Input, ReadInput, read_input
from batcher.api.words import FIELDS, check_choice, check_names, in_python, python_words, worded
from batcher.cli.screen.progress import Progress, shown
from batcher.cli.screen.screens import NoScreen, PlainScreen, Screen, open_screen
from batcher.cli.session import loop_factory
from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.engine.loop_thread import LoopThread
from batcher.engine.result_access import ResultAccess
from batcher.settings import Settings, base_url_of_environment
from batcher.wiring import open_runner

if TYPE_CHECKING:
    from batcher.engine.job.report import Report
    from batcher.engine.opening.estimate import Estimate
    from batcher.engine.runner import Runner

_T = TypeVar("_T")
Shown: TypeAlias = bool | Literal["rich", "tqdm", "plain", "none"] | None


@overload
def run(
    spec: JobSpec,
    /,
    *,
    output: str | os.PathLike[str] | None = ...,
    output_format: str | None = ...,
    csv_safe: bool = ...,
    failed_rows: Literal["omit", "null"] = ...,
    fresh: bool = ...,
    overwrite: bool = ...,
    progress: Shown = ...,
    settings: Settings | None = ...,
) -> Report: ...


@overload
def run(
    *,
    spec: JobSpec,
    output: str | os.PathLike[str] | None = ...,
    output_format: str | None = ...,
    csv_safe: bool = ...,
    failed_rows: Literal["omit", "null"] = ...,
    fresh: bool = ...,
    overwrite: bool = ...,
    progress: Shown = ...,
    settings: Settings | None = ...,
) -> Report: ...


@overload
def run(
    kind: str,
    input: Input,
    *,
    model: str,
    output: str | os.PathLike[str] | None = ...,
    output_format: str | None = ...,
    csv_safe: bool = ...,
    failed_rows: Literal["omit", "null"] = ...,
    fresh: bool = ...,
    overwrite: bool = ...,
    progress: Shown = ...,
    settings: Settings | None = ...,
    options: Mapping[str, Any] = ...,
    name: str | None = ...,
    since_last: bool = ...,
    id: str | None = ...,
    format: Literal["csv", "json", "jsonl", "parquet"] | None = ...,
    delimiter: str | None = ...,
    encoding: str | None = ...,
    limit: int | None = ...,
    provider: str | None = ...,
    base_url: str = ...,
    api_version: str | None = ...,
    api_key_env: str = ...,
    headers: Mapping[str, str] = ...,
    params: Mapping[str, Any] = ...,
    timeout: float = ...,
    idempotency_header: str = ...,
    max_answer_bytes: int | None = ...,
    rpm: int | None = ...,
    tpm: int | None = ...,
    concurrency: int = ...,
    priority: Literal["high", "normal", "low"] = ...,
    max_cost: Decimal | float | str | None = ...,
    price: str | None = ...,
    service_tier: Literal["auto", "default", "flex", "priority"] | None = ...,
    cost_columns: bool = ...,
    tokenizer: str | None = ...,
    max_inputs: int | None = ...,
    max_request_tokens: int | None = ...,
    max_input_tokens: int | None = ...,
    on_error: Literal["keep", "stop"] = ...,
    on_bad_row: Literal["stop", "skip"] = ...,
    outage_timeout: float = ...,
    grace_seconds: float = ...,
    max_input_bytes: int | None = ...,
    keep_input: bool = ...,
    simulate: bool = ...,
    via: Literal["online", "replay"] = ...,
    **of_kind: Any,
) -> Report: ...


def run(
    kind: str | JobSpec | None = None,
    input: Input | None = None,
    *,
    output: str | os.PathLike[str] | None = None,
    output_format: str | None = None,
    csv_safe: bool = False,
    failed_rows: Literal["omit", "null"] = "omit",
    fresh: bool = False,
    overwrite: bool = False,
    progress: Shown = None,
    settings: Settings | None = None,
    **job: Any,
) -> Report:
    """Run a job to its end, or go on where it stopped.

        report = batcher.run(
            "classify", df, model="gpt-6-luna", text="body", labels=["billing", "bug"]
        )
        df["label"] = report.to_pandas()["label"]

    If a run ends early, the same call continues it, whatever the input is: what is done is never
    sent again, and a job that is complete sends nothing. An input that is no file is known by its
    content.

    Args:
        kind: what is done with each row: ``embed``, ``classify``, ``chat``, or one that a package
            adds. A :class:`JobSpec`, as ``spec``, stands for it, the input and all of ``job``.
        input: a path or a URL, a list (or anything that gives one after the other) of dicts, a
            pandas, polars or Arrow table, or whatever else has ``__arrow_c_stream__``.
        output: where the records go; without one they are had from the report alone.
        output_format: the output's format, where its name does not say it.
        csv_safe: put a ``'`` before what a spreadsheet would take for a formula in a CSV cell.
        failed_rows: ``omit`` leaves rows that failed out of the output; with ``null`` it has every
            row of the input, with null for what is missing.
        fresh: begin anew even if the same job was run before.
        overwrite: replace a file that stands where the output goes, though no manifest beside it
            says that it is of this job, this command or this name.
        progress: whether to show it, or how (``rich``, ``tqdm``, ``plain``); None shows it on a
            terminal and in a notebook.
        settings: which database, if not ``.batcher/batcher.db`` in the working directory.
        job: ``model`` and the other fields of a :class:`JobSpec`, and the options of the kind
            (``text``, ``labels``, ``prompt``, …). Without ``base_url``, ``BATCHER_BASE_URL`` or
            ``OPENAI_BASE_URL`` says it, as it does for the commands.

    Returns:
        The report, with the results. Look at its ``status`` and ``rows_failed``: rows that failed,
        a budget that is spent and a provider that pauses are no exceptions.

    Raises:
        BatcherError: the job or the input is wrong, another process is running the job, or the
            database cannot be used.
        KeyboardInterrupt: after what was in flight has been settled and kept.
        TypeError: both a spec and its fields were given.
    """
    check_choice("progress", progress, (None, True, False, "rich", "tqdm", "plain", "none"))
    check_choice("failed_rows", failed_rows, ("omit", "null"))
    with python_words(), _Call.of(kind, input, job, settings) as call:
        report = call.wait(
            lambda runner, watched: runner.run(
                call.spec,
                output=None if output is None else os.fspath(output),
                output_format=output_format,
                csv_safe=csv_safe,
                failed_rows=failed_rows,
                fresh=fresh,
                overwrite=overwrite,
                on_live=watched.attach,
                on_told=watched.tell,
                source=call.read.source,
            ),
            progress,
        )
    return with_index(worded(report), call.read.index)


@overload
def estimate(spec: JobSpec, /, *, settings: Settings | None = ...) -> Estimate: ...


@overload
def estimate(
    kind: str,
    input: Input,
    *,
    model: str,
    settings: Settings | None = ...,
    options: Mapping[str, Any] = ...,
    name: str | None = ...,
    since_last: bool = ...,
    id: str | None = ...,
    format: Literal["csv", "json", "jsonl", "parquet"] | None = ...,
    delimiter: str | None = ...,
    encoding: str | None = ...,
    limit: int | None = ...,
    provider: str | None = ...,
    base_url: str = ...,
    api_version: str | None = ...,
    api_key_env: str = ...,
    headers: Mapping[str, str] = ...,
    params: Mapping[str, Any] = ...,
    timeout: float = ...,
    idempotency_header: str = ...,
    max_answer_bytes: int | None = ...,
    rpm: int | None = ...,
    tpm: int | None = ...,
    concurrency: int = ...,
    priority: Literal["high", "normal", "low"] = ...,
    max_cost: Decimal | float | str | None = ...,
    price: str | None = ...,
    service_tier: Literal["auto", "default", "flex", "priority"] | None = ...,
    cost_columns: bool = ...,
    tokenizer: str | None = ...,
    max_inputs: int | None = ...,
    max_request_tokens: int | None = ...,
    max_input_tokens: int | None = ...,
    on_error: Literal["keep", "stop"] = ...,
    on_bad_row: Literal["stop", "skip"] = ...,
    outage_timeout: float = ...,
    grace_seconds: float = ...,
    max_input_bytes: int | None = ...,
    keep_input: bool = ...,
    simulate: bool = ...,
    via: Literal["online", "replay"] = ...,
    **of_kind: Any,
) -> Estimate: ...


def estimate(
    kind: str | JobSpec | None = None,
    input: Input | None = None,
    *,
    settings: Settings | None = None,
    **job: Any,
) -> Estimate:
    """What a job would take and cost; sends nothing and keeps nothing.

        batcher.estimate("embed", "articles.csv", model="text-embedding-3-small", text="body")

    The arguments are those of :func:`run`.

    Raises:
        BatcherError: the job or the input is wrong.
    """
    with python_words(), _Call.of(kind, input, job, settings) as call:
        return call.wait(
            lambda runner, watched: runner.estimate(call.spec, source=call.read.source), False
        )


def report(job: str, *, settings: Settings | None = None) -> Report:
    """The report of a job that was run before, here or by a command, with its results.

        batcher.report("3k2v9x").to_polars()

    ``job`` is its id, or a unique beginning of it.

    Raises:
        UsageError: there is no such job, or several.
    """

    async def work() -> Report:
        async with open_runner(dataclasses.replace(settings or Settings(), create=False)) as runner:
            return await runner.status(job)

    with python_words(), LoopThread("batcher", loop_factory()) as thread:
        return worded(thread.call(work()))


def with_index(report: Report, index: Any) -> Report:
    """The report, whose frames have that index."""
    access = report.access
    if index is None or not isinstance(access, ResultAccess):
        return report
    return dataclasses.replace(report, access=dataclasses.replace(access, index=index))


@dataclass(slots=True)
class _Call:
    """One job to be worked on while the caller waits; a context manager that lets its input go."""

    spec: JobSpec
    read: ReadInput
    settings: Settings
    runner: Runner | None = field(default=None, init=False)

    @classmethod
    def of(
        cls,
        kind: str | JobSpec | None,
        given: object,
        job: dict[str, Any],
        settings: object,
    ) -> _Call:
        """A call as it was written: a spec alone, or its fields."""
        settings = Settings() if settings is None else settings
        if not isinstance(settings, Settings):
            what = type(settings).__name__
            raise UsageError(f"settings is a batcher.Settings, not of type {what}")
        spec = job.pop("spec", None) if kind is None else kind
        if isinstance(spec, JobSpec):
            if given is not None or job:
                names = ", ".join([*([] if given is None else ["input"]), *job])
                raise TypeError(f"give a spec or its fields, not both: {names}")
            return cls(spec, ReadInput(spec.input), settings)
        check_names(spec, given, job, InstalledKinds)
        said = "base_url" in job or job.get("provider") is not None
        if not said and (base_url := base_url_of_environment()):
            job["base_url"] = base_url
        fields = {name: value for name, value in job.items() if name in FIELDS}
        options = {name: _plain(value) for name, value in job.items() if name not in FIELDS}
        plain = {**fields, "kind": spec, "options": {**fields.get("options", {}), **options}}
        if given is None or isinstance(given, str | os.PathLike):
            read = ReadInput("" if given is None else os.fspath(given))
            return cls(JobSpec.from_json({**plain, "input": read.name}), read, settings)
        JobSpec.from_json({**plain, "input": "<input>"})  # wrong without any reading
        read = read_input(given, fields.get("max_input_bytes"))
        return cls(JobSpec.from_json({**plain, "input": read.name}), read, settings)

    def __enter__(self) -> _Call:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the input."""
        if self.read.source is not None:
            self.read.source.close()

    def wait(
        self,
        work: Callable[[Runner, Progress], Coroutine[Any, Any, _T]],
        progress: Shown,
    ) -> _T:
        """Work with a runner in a thread of its own, with progress on the screen."""
        watched = Progress(
            _screen(progress), grace_seconds=self.spec.grace_seconds, worded=in_python
        )

        async def opened() -> _T:
            async with shown(watched), open_runner(self.settings) as runner:
                self.runner = runner
                try:
                    return await work(runner, watched)
                finally:
                    self.runner = None

        def interrupt() -> bool:
            settles = self.runner is not None and self.runner.interrupt()
            watched.announce(settles)
            return settles

        with LoopThread("batcher", loop_factory()) as thread:
            return thread.call(opened(), interrupt=interrupt)


def _screen(progress: Shown) -> Screen:
    if progress is False:
        return NoScreen()
    if isinstance(progress, str):
        return open_screen(quiet=False, output=None, progress=progress)
    screen = open_screen(quiet=False, output=None)
    return NoScreen() if progress is None and isinstance(screen, PlainScreen) else screen


def _plain(value: Any) -> Any:
    """An option as a command or a job file would give it."""
    return os.fspath(value) if isinstance(value, os.PathLike) else value
