"""Imports in a thread, of what takes long and is needed in a moment."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from threading import Thread


def import_meanwhile(module: str) -> None:
    """Import what is needed in a moment in a thread, while the rest of a run is made ready.

    aiohttp reads the system's authorities twice when it is imported, which needs the processor and
    not the interpreter's lock. Whoever imports the module before that is over waits for it, and
    hears what went wrong.
    """

    def work() -> None:
        with suppress(ImportError):
            import_module(module)

    Thread(target=work, name=f"importing {module}", daemon=True).start()
