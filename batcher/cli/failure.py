"""From an exception to what is said on standard error and to the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import click

from batcher.core.errors import BatcherError
from batcher.core.inert import inert

INTERRUPTED = 130
_UNFORESEEN = 1


def report_failure(error: BaseException) -> int:
    """Say what went wrong, without a traceback; returns the exit code.

    The text of an exception that nobody foresaw is not shown: it might quote a row or a key.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if os.environ.get("BATCHER_DEBUG"):
        say(*_traced(error))
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, click.ClickException):
        say(f"error: {error.format_message()}")
        if isinstance(error, click.UsageError) and error.ctx is not None:
            say(f"       {error.ctx.command_path} --help says more")
        return error.exit_code
    if isinstance(error, BrokenPipeError) or isinstance(error.__cause__, BrokenPipeError):
        return _UNFORESEEN  # whoever read the output has gone, and knows
    if isinstance(error, BatcherError):
        say(f"error: {error}")
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED
    say(
        f"error: unforeseen: {_described(error)}",
        "       run it again with BATCHER_DEBUG=1 to see where; what was done is kept",
    )
    return _UNFORESEEN


def say(*lines: str) -> None:
    """Write lines to standard error, if there still is one; a text of several is still one line."""
    try:
        for line in lines:
            click.echo(inert(line), err=True)
    except OSError:
        pass


def close_stdout() -> None:
    """Flush standard output; a reader that has gone is no reason for a last complaint.

    Raises:
        BrokenPipeError: it has gone.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _traced(error: BaseException) -> Iterator[str]:
    """A traceback's lines; what an exception says is one of them, however many it has."""
    for part in traceback.format_exception(error):
        if part.startswith((" ", "\n", "Traceback")):
            yield from part.rstrip("\n").split("\n")
        else:
            yield part.rstrip("\n")


def _described(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return name
    return f"{name} in {Path(frames[-1].filename).name}:{frames[-1].lineno}"
