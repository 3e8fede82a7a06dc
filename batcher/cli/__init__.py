"""The command line: parse, open, call, render. Nothing heavy is imported before it is needed.

- :mod:`.commands`: One module for each command that makes jobs, serves them, or stands for itself.
- :mod:`.failure`: From an exception to what is said on standard error and to the exit code.
- :mod:`.figures`: Numbers, money and times as people read them.
- :mod:`.options`: Options and arguments: where their values come from, and how help reads.
- :mod:`.output`: What goes to standard output: results asked for, and JSON; and what is said beside
  it.
- :mod:`.root`: ``batcher`` itself: its commands, and the one place where errors become exit codes.
- :mod:`.screen`: The progress of a run, on a terminal, in a notebook, or a line now and then.
- :mod:`.session`: One command's event loop: which loop, and what a signal does to it.
- :mod:`.summary`: What is said of a job when its run has ended, and what to do next.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn


def main() -> NoReturn:
    """What the command ``batcher`` runs."""
    gc.disable()  # what is imported stays; a session of work turns it on again
    codes: list[int] = []
    atexit.register(_leave, codes)
    from batcher.cli.root import root

    _open_standard_streams()
    try:
        root.main(prog_name="batcher")
    except SystemExit as exit:
        if isinstance(exit.code, int):
            codes.append(exit.code)
        raise


def _leave(codes: list[int]) -> None:
    """End the process without taking it apart, which is a tenth of a short run's time.

    It is the first to be registered, so the last to be called: no thread is left then, and whatever
    others have to do at the end is done.
    """
    if codes:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(codes[0])


def _open_standard_streams() -> None:
    """Where one is closed, as some schedulers do: its number must not become the database's."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
