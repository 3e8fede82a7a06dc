"""Chat, bound to a template."""

from __future__ import annotations

from batcher.core.kind import TextFile
from jobs.chat import KIND, BoundChat


def bind(prompt: str, system: str | None = None) -> BoundChat:
    options = {"prompt": TextFile("prompt.j2", prompt)}
    if system is not None:
        options["system"] = TextFile("system.txt", system)
    return KIND.bind(options)
