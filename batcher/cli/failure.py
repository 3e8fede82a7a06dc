"""From an exception to what is said on standard error and to the exit code."""

from __future__ import annotations

import os
import select
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from batcher.core.errors import BatcherError, OutputError
from batcher.core.failures.unforeseen import described
from batcher.core.text.inert import inert
from batcher.core.text.near import is_request_parameter, meant

INTERRUPTED = 130
READER_GONE = 141
"""128 and SIGPIPE: what a shell says of a program whose reader has gone."""
_UNFORESEEN = 1


class ReaderGone(Exception):
    """Whatever read the output has gone: no failure of this program's."""


@contextmanager
def reader_may_go() -> Iterator[None]:
    """Translate the error of a write to standard output that nobody reads any more.

    Raises:
        ReaderGone: in its place; click would make a failure of it.
    """
    try:
        yield
    except BrokenPipeError as exc:
        if not _nobody_reads():
            raise  # of another pipe, or of a connection
        raise ReaderGone from exc


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
        said = _unknown(error) if isinstance(error, click.NoSuchOption) else error.format_message()
        say(f"error: {said}")
        if isinstance(error, click.UsageError) and error.ctx is not None:
            say(f"       {error.ctx.command_path} --help says more")
        return error.exit_code
    if _is_reader_gone(error):
        _drop_stdout()  # whoever read it knows, and what is left in it is for nobody
        return READER_GONE
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


def _unknown(error: click.NoSuchOption) -> str:
    """An option that a command does not have, and what was probably meant."""
    typed = error.option_name
    options = [] if error.ctx is None else error.ctx.command.params
    flags = {
        name.lstrip("-").replace("-", "_"): name
        for option in options
        if isinstance(option, click.Option)
        for name in (*option.opts, *option.secondary_opts)
        if name.startswith("--")
    }
    plain = typed.lstrip("-")
    if "param" in flags and is_request_parameter(plain):
        wanted = plain.replace("-", "_")
        return f"no option {typed}; a parameter of the requests is --param {wanted}=VALUE"
    known = meant(plain, flags) if typed.startswith("--") else None
    return f"no option {typed}" + (f" (did you mean {flags[known]}?)" if known else "")


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
        ReaderGone: it has gone.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError as exc:
        raise ReaderGone from exc


def _is_reader_gone(error: BaseException) -> bool:
    if isinstance(error, OutputError):
        return isinstance(error.__cause__, BrokenPipeError)
    if isinstance(error, BrokenPipeError):
        return _nobody_reads()
    return isinstance(error, ReaderGone)


def _nobody_reads() -> bool:
    """Whether standard output or error is a pipe whose other end is closed."""
    poll = select.poll()
    for descriptor in (1, 2):
        poll.register(descriptor, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


def _drop_stdout() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _traced(error: BaseException) -> Iterator[str]:
    """A traceback's lines; what an exception says is one of them, however many it has."""
    for part in traceback.format_exception(error):
        if part.startswith((" ", "\n", "Traceback")):
            yield from part.rstrip("\n").split("\n")
        else:
            yield part.rstrip("\n")


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, OSError) else described(error)
