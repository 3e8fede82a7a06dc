"""The command line as it was typed, to be said again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence

import click

from batcher.core.text.inert import inert

_META = "batcher.arguments"
_SECRETS = (
    (re.compile(r"(://[^/@:\s]*):\S*@"), r"\1:***@"),
    (re.compile(r"([?&]password=)[^&\s]*"), r"\1***"),
)


def remember(ctx: click.Context, arguments: Sequence[str]) -> None:
    """Keep what was typed after ``batcher``."""
    ctx.meta[_META] = tuple(arguments)


def arguments_of(ctx: click.Context) -> tuple[str, ...]:
    """What was typed after ``batcher``."""
    arguments: tuple[str, ...] = ctx.meta.get(_META, ())
    return arguments


def typed(ctx: click.Context) -> str:
    """The command line of this process, as a shell understands it; a URL's password is hidden."""
    return shell_line(["batcher", *map(_without_password, arguments_of(ctx))])


def shell_line(words: Iterable[str]) -> str:
    """Words as a shell understands them; what is not inert in one is written in escapes."""
    return " ".join(
        shlex.quote(word) if inert(word) == word else f"$'{_escaped(word)}'" for word in words
    )


def _escaped(word: str) -> str:
    return inert(word.replace("\\", "\\\\").replace("'", "\\'"))


def _without_password(argument: str) -> str:
    for secret, hidden in _SECRETS:
        argument = secret.sub(hidden, argument)
    return argument
