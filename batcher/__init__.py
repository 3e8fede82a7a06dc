"""Every row of a file through the OpenAI API, none lost and none repeated.

In one line, as ``batcher run`` would do it:

    import batcher

    report = batcher.run(
        kind="embed", input="articles.csv", model="text-embedding-3-small",
        options={"text": "body"}, output="vectors.parquet",
    )
    print(report.rows_done, report.cost_usd)

With an event loop of one's own, and the results as values:

    async with batcher.open_runner() as runner:
        report = await runner.run(spec)
        async for result in runner.results(report.job):
            print(result.id, result.vector)
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.core.errors import BatcherError
    from batcher.core.spec import JobSpec
    from batcher.engine.estimate import Estimate
    from batcher.engine.report import Report
    from batcher.engine.results import Result
    from batcher.engine.runner import Runner
    from batcher.wiring import Settings, open_runner

    __version__: str

__all__ = [
    "BatcherError",
    "Estimate",
    "JobSpec",
    "Report",
    "Result",
    "Runner",
    "Settings",
    "__version__",
    "open_runner",
    "run",
]

_PLACES = {
    "BatcherError": "batcher.core.errors",
    "Estimate": "batcher.engine.estimate",
    "JobSpec": "batcher.core.spec",
    "Report": "batcher.engine.report",
    "Result": "batcher.engine.results",
    "Runner": "batcher.engine.runner",
    "Settings": "batcher.wiring",
    "open_runner": "batcher.wiring",
}


class _Checkout:
    """Finds two packages where a checkout has them, beside this one; installed, they are in it."""

    names = ("batcher.jobs", "batcher.migrations")

    @classmethod
    def find_spec(cls, name: str, *_: object) -> ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`; what is in these packages needs no help."""
        if name not in cls.names:
            return None
        from pathlib import Path

        return PathFinder.find_spec(name, [str(Path(__file__).resolve().parent.parent)])


if PathFinder.find_spec(_Checkout.names[0], __path__) is None:
    sys.meta_path.append(_Checkout)


def run(
    spec: JobSpec | None = None,
    *,
    output: str | None = None,
    output_format: str | None = None,
    csv_safe: bool = False,
    failed_rows: str = "omit",
    fresh: bool = False,
    overwrite: bool = False,
    settings: Settings | None = None,
    **job: Any,
) -> Report:
    """Run a job to its end, or go on where it stopped; for programs without an event loop.

        report = batcher.run(spec, output="labels.jsonl")
        if report.rows_failed:
            print("see", report.errors)

    Args:
        spec: what to do; or its fields as keyword arguments.
        output: where the records go; without one the results stay in the database.
        output_format: the output's format, where its name does not say it.
        csv_safe: put a ``'`` before what a spreadsheet would take for a formula in a CSV cell.
        failed_rows: ``omit`` leaves rows that failed out of the output; with ``null`` it has every
            row of the input, with null for what is missing.
        fresh: begin anew even if the same job was run before.
        overwrite: replace a file that stands where the output goes, though no manifest beside it
            says that it is of this job, this command or this name.
        settings: which database, if not ``.batcher/batcher.db`` in the working directory.
        job: the fields of a :class:`JobSpec`, in place of ``spec``. Without ``base_url``,
            ``BATCHER_BASE_URL`` or ``OPENAI_BASE_URL`` says it, as it does for the commands.

    Returns:
        The report. Look at its ``status`` and ``rows_failed``: dead letters, a budget that is
        spent and a provider that pauses are no exceptions.

    Raises:
        BatcherError: the spec or the input is wrong, another process is running the job, or the
            database cannot be used.
        TypeError: both a spec and its fields were given.
    """
    import asyncio

    from batcher.core.errors import UsageError
    from batcher.core.spec import JobSpec
    from batcher.wiring import base_url_of_environment, open_runner

    if spec is not None and job:
        raise TypeError(f"give a spec or its fields, not both: {', '.join(job)}")
    if spec is None and "base_url" not in job and (base_url := base_url_of_environment()):
        job["base_url"] = base_url
    wanted = JobSpec.from_json(job) if spec is None else spec

    async def work() -> Report:
        async with open_runner(settings) as runner:
            return await runner.run(
                wanted,
                output=output,
                output_format=output_format,
                csv_safe=csv_safe,
                failed_rows=failed_rows,
                fresh=fresh,
                overwrite=overwrite,
            )

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work())
    raise UsageError("an event loop is running here: use `async with batcher.open_runner()`")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: ``import batcher`` stays quick."""
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("batcher-jobs")
    elif name in _PLACES:
        value = getattr(import_module(_PLACES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return __all__
