"""From an exception to what is said on standard error and to the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import click

from batcher.core.errors import BatcherError

INTERRUPTED = 130
_UNFORESEEN = 1


def report_failure(error: BaseException) -> int:
    """Say what went wrong, without a traceback; returns the exit code.

    The text of an exception that nobody foresaw is not shown: it might quote a row or a key.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if os.environ.get("BATCHER_DEBUG"):
        traceback.print_exception(error, file=sys.stderr)
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
        f"error: unforeseen: {_described(error)}\n"
        "       run it again with BATCHER_DEBUG=1 to see where; what was done is kept"
    )
    return _UNFORESEEN


def say(text: str) -> None:
    """Write a line to standard error, if there still is one."""
    try:
        click.echo(text, err=True)
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


def _described(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, OSError):
        return f"{name}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return name
    return f"{name} in {Path(frames[-1].filename).name}:{frames[-1].lineno}"
