"""Every row of a file or a table through the OpenAI API, none lost and none repeated.

A job, as ``batcher run`` would do it, over a path, a list of dicts, or a pandas, polars or Arrow
table:

    import batcher

    report = batcher.run("classify", df, model="gpt-6-luna", text="body", labels=["bug", "praise"])
    df["label"] = report.to_pandas()["label"]

From texts to values:

    vectors = batcher.embed(texts)
    labels = batcher.classify(texts, ["bug", "praise"])
    answers = batcher.chat(prompts)

With an event loop of one's own, and the results one by one:

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
    from batcher.api.running import estimate, report, run
    from batcher.api.texts import chat, classify, embed
    from batcher.core.errors import BatcherError
    from batcher.core.job.spec import JobSpec
    from batcher.engine.job.report import Report
    from batcher.engine.job.results import Result
    from batcher.engine.opening.estimate import Estimate
    from batcher.engine.runner import Runner
    from batcher.settings import Settings
    from batcher.wiring import open_runner

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
    "chat",
    "classify",
    "embed",
    "estimate",
    "open_runner",
    "report",
    "run",
]

_PLACES = {
    "BatcherError": "batcher.core.errors",
    "Estimate": "batcher.engine.opening.estimate",
    "JobSpec": "batcher.core.job.spec",
    "Report": "batcher.engine.job.report",
    "Result": "batcher.engine.job.results",
    "Runner": "batcher.engine.runner",
    "Settings": "batcher.settings",
    "chat": "batcher.api.texts",
    "classify": "batcher.api.texts",
    "embed": "batcher.api.texts",
    "estimate": "batcher.api.running",
    "open_runner": "batcher.wiring",
    "report": "batcher.api.running",
    "run": "batcher.api.running",
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
