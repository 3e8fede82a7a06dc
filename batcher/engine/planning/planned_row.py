"""A row on its way into a shard: what was rendered of it, or why it has nothing to send."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from batcher.core.model import DeadLetter, Prompt, RowId
from batcher.core.row.asked import TEXTS_ALONE
from batcher.ports import CallNeeded, Reused


class PlannedRow:
    """One row on its way into a shard; ``bad`` ones could not be read, and are always new.

    ``own`` is what its request has besides the texts.
    """

    __slots__ = (
        "arrow",
        "bad",
        "before",
        "content",
        "dead",
        "id",
        "number",
        "own",
        "place",
        "prompts",
        "record",
        "spans",
        "tokens",
    )

    def __init__(
        self,
        number: int,
        row_id: RowId | None,
        record: Mapping[str, Any] | None,
        arrow: tuple[Any, int] | None = None,
    ) -> None:
        self.number = number
        self.id = row_id
        self.record = record
        self.arrow = arrow
        self.prompts: list[Prompt] = []
        self.tokens: list[int] = []
        self.own = TEXTS_ALONE
        self.spans: list[tuple[int, int]] | None = None
        self.dead: DeadLetter | None = None
        self.bad = False
        self.content: bytes | None = None
        self.place: Hashable | None = None
        self.before = CallNeeded.NEW

    def reuse(self, found: Reused) -> None:
        """Take a result that is there, cut as its row was: the text is the same."""
        self.place = found.place
        self.tokens = list(found.tokens)
        (*_, text) = self.prompts[0]
        if found.spans is not None and found.spans != ((0, len(text)),):
            self.spans = list(found.spans)
            self.prompts = [(text[start:end],) for start, end in found.spans]

    def fail(self, code: str, message: str) -> PlannedRow:
        """Make the row a dead letter: it sends nothing, now or at any retry."""
        self.prompts = []
        self.tokens = []
        self.dead = DeadLetter(
            row=self.number, chunk=0, id=self.id, code=code, message=message, attempts=0, final=True
        )
        return self
