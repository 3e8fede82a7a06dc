"""The command line: parse, open, call, render. Nothing heavy is imported before it is needed."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """What the command ``batcher`` runs."""
    from batcher.cli.root import root

    root.main(prog_name="batcher")
    raise AssertionError("the command line exits by itself")
