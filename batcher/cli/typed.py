"""The command line as it was typed, to be said again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click

_META = "batcher.arguments"


def remember(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Keep what was typed after ``batcher``."""
    ctx.meta[_META] = tuple(arguments)


def typed(ctx: click.Context) -> str:
    """The command line of this process, as a shell understands it."""
    return shlex.join(["batcher", *ctx.meta.get(_META, ())])
