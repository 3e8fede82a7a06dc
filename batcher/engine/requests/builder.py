"""Request bodies: what a call says, and what the provider taught of how it wants to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from batcher.core.errors import KindFailed
from batcher.core.kind import BoundKind, Shape
from batcher.core.limits import most_text_bytes, most_vector_bytes
from batcher.core.model import Learned
from batcher.core.text import exactjson
from batcher.engine.shards.call import Call

OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")


class Learning:
    """What one job's provider taught; ``learned`` is what is written down of it.

    ``optional_parameters`` are those that may be left out where a server refuses them.
    """

    def __init__(self, learned: Learned, optional_parameters: frozenset[str] = frozenset()) -> None:
        self.learned = learned
        self.optional_parameters = optional_parameters

    def __repr__(self) -> str:
        """What was learned."""
        return f"<Learning {self.learned}>"

    def rename(self, old: str, new: str) -> None:
        """Learn another name for a parameter."""
        renamed = {**self.learned.renamed, old: new}
        self.learned = replace(self.learned, renamed=renamed)

    def drop(self, name: str) -> None:
        """Learn to leave a parameter out."""
        self.learned = replace(self.learned, dropped=self.learned.dropped | {name})

    def restore(self, name: str) -> None:
        """Ask with a parameter again: to leave it out did not help."""
        self.learned = replace(self.learned, dropped=self.learned.dropped - {name})

    def set_dimension(self, dimension: int) -> None:
        """Learn the length of the job's vectors."""
        self.learned = replace(self.learned, dimension=dimension)


class RequestBuilder:
    """How one job's calls become bodies."""

    def __init__(
        self, bound: BoundKind, kind: str, added: Mapping[str, Any], learning: Learning
    ) -> None:
        """``kind`` is the kind's name; ``added`` goes into each body, in that order."""
        self._bound = bound
        self._kind = kind
        self._added = added
        self._learning = learning
        self.path = str(bound.endpoint)

    def body(self, call: Call) -> bytes:
        """The request's JSON, as the model is known to want it.

        Raises:
            KindFailed: the kind makes none.
        """
        try:
            body = self._bound.body(call.prompts(), repair=call.repair)
            return _encoded(self._as_wanted(body))
        except Exception as error:
            raise KindFailed.raised(self._kind, "body", error) from error

    def _as_wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the model, the user's parameters and what the provider taught."""
        body.update(self._added)
        learned = self._learning.learned
        for old, new in learned.renamed.items():
            if old in body:
                body[new] = body.pop(old)
        for name in learned.dropped:
            body.pop(name, None)
        return body


class AnswerSize:
    """How large the answers to one job's calls may be, decompressed."""

    def __init__(
        self, shape: Shape, learning: Learning, *, most_text_bytes: int, most_bytes: int | None
    ) -> None:
        """``most_text_bytes`` is for what is no vector; ``most_bytes`` is the user's own limit."""
        self._shape = shape
        self._learning = learning
        self._most_text_bytes = most_text_bytes
        self._most_bytes = most_bytes

    def most_bytes(self, call: Call) -> int:
        """The most that the answer to a call may take."""
        if self._most_bytes is not None:
            return self._most_bytes
        shape = self._shape
        if shape is Shape.JSON:
            return self._most_text_bytes
        vectors = most_vector_bytes(len(call.pieces), self._learning.learned.dimension)
        return vectors if shape is Shape.VECTOR else vectors + self._most_text_bytes


def answer_size(
    shape: Shape,
    learning: Learning,
    *,
    output_limit: int | None,
    parameters: Mapping[str, Any],
    most_bytes: int | None,
) -> AnswerSize:
    """The size of answers whose output is limited to so many tokens, if at all."""
    most_text = most_text_bytes(output_limit, parameters)
    return AnswerSize(shape, learning, most_text_bytes=most_text, most_bytes=most_bytes)


def output_limit(bound: BoundKind, params: Mapping[str, Any]) -> int | None:
    """The limit of output tokens that the user or the kind gives, or None."""
    for name in OUTPUT_LIMITS:
        limit = params.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool):
            return limit
    return bound.max_output_tokens


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return exactjson.dumps(body).encode()  # a parameter may be an integer of any size
