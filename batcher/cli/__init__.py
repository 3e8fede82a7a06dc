"""The command line: parse, open, call, render. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """What the command ``batcher`` runs."""
    gc.disable()  # what is imported stays; a session of work turns it on again
    from batcher.cli.root import root

    _open_standard_streams()
    root.main(prog_name="batcher")


def _open_standard_streams() -> None:
    """Where one is closed, as some schedulers do: its number must not become the database's."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
