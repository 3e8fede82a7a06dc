"""Token counts, and the installed job kinds: what planning asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from batcher.core.kind import Kind


class Tokenizer(Protocol):
    """Exact token counts; thread-safe, synchronous, never touches the network."""

    name: str

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of tokens of each text; special tokens in the text count as plain text."""
        ...

    def chunks(self, text: str, max_tokens: int) -> list[tuple[int, int, int]]:
        """Cut into consecutive chunks of at most ``max_tokens``.

        Returns ``(start, end, tokens)`` per chunk, in characters of ``text``: chunks begin and
        end at character boundaries, cover the text, and each recounts to at most ``max_tokens``.
        """
        ...


class KindRegistry(Protocol):
    """The installed job kinds."""

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        ...

    def get(self, name: str) -> Kind:
        """The kind of that name.

        Raises:
            batcher.core.errors.UsageError: there is none; the message lists those there are.
        """
        ...
