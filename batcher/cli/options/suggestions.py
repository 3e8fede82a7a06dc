"""What a shell is offered to complete a word with: columns, jobs, names, profiles and files."""

from __future__ import annotations

import os
import shlex
import tomllib
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem

from batcher.adapters.system.configuration import CONFIGURATION
from batcher.core.errors import BatcherError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import click

    from batcher.engine.job.report import Report

COMPLETE_VAR = "_BATCHER_COMPLETE"
_MOST_JOBS = 200
Items = list[CompletionItem]


def file_items(incomplete: str) -> Items:
    """Let the shell complete a path."""
    return [CompletionItem(incomplete, type="file")]


def column_items(ctx: click.Context, incomplete: str) -> Items:
    """The columns of the input that stands in the line."""
    from batcher.adapters.sources.columns import columns_at_a_glance

    path = ctx.params.get("input")
    if not isinstance(path, str):
        return []
    names = columns_at_a_glance(path, delimiter=ctx.params.get("delimiter"))
    return _items(((name, None) for name in names), incomplete)


def job_items(ctx: click.Context, incomplete: str) -> Items:
    """The ids of the newest jobs, each with what it is."""
    reports = _reports(ctx)
    return _items(((one.job, _what(one)) for one in reports), incomplete)


def name_items(ctx: click.Context, incomplete: str) -> Items:
    """The names that jobs bear."""
    names = dict.fromkeys(one.name for one in _reports(ctx) if one.name is not None)
    return _items(((name, None) for name in names), incomplete)


def profile_items(incomplete: str) -> Items:
    """The profiles of ``batcher.toml``."""
    try:
        profiles = tomllib.loads(CONFIGURATION.read_text(encoding="utf-8")).get("profiles", {})
    except (OSError, ValueError):
        return []
    return _items(((str(name), None) for name in profiles), incomplete)


def _what(report: Report) -> str:
    return f"{report.kind} of {report.spec.input}, {report.status}"


def _reports(ctx: click.Context) -> list[Report]:
    """The newest jobs of the database that the line or the environment names; none makes one."""
    import asyncio

    from batcher.settings import Settings
    from batcher.wiring import open_runner

    settings = Settings(
        database_url=ctx.params.get("db"), database_timeout_seconds=1.0, create=False
    )

    async def newest() -> list[Report]:
        async with open_runner(settings) as runner:
            return await runner.jobs(limit=_MOST_JOBS)

    try:
        return asyncio.run(newest())
    except BatcherError:
        return []


def _items(found: Iterable[tuple[str, str | None]], incomplete: str) -> Items:
    """Those that begin as the word does, and that a shell can take in one line."""
    return [
        CompletionItem(_for_shell(value), help=help)
        for value, help in found
        if value.startswith(incomplete) and value.isprintable()
    ]


def _for_shell(value: str) -> str:
    """Bash inserts a word as it is; the others quote it themselves."""
    instruction = os.environ.get(COMPLETE_VAR, "")
    return shlex.quote(value) if instruction.startswith("bash") else value
