"""Request bodies: what a call says, and what the provider taught of how it wants to be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from batcher.core.errors import KindFailed
from batcher.core.kind import BoundKind, Shape
from batcher.core.kind_optional import AttachesFiles
from batcher.core.limits import most_text_bytes, most_vector_bytes
from batcher.core.model import Learned
from batcher.core.row.attachments import Attachment, Form, encode_form
from batcher.core.row.parameters import RowParameters, put_row_parameters
from batcher.core.text import exactjson
from batcher.engine.requests.attached import AttachedBodies, EncodedBody
from batcher.engine.requests.output_limits import OutputLimits
from batcher.engine.shards.call import Call
from batcher.ports import JSON_TYPE, AttachmentFiles


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
        self.attached: AttachedBodies | None = None  # makes them where the kind attaches files

    def attach(self, files: AttachmentFiles) -> None:
        """Have bodies carry the files that rows name."""
        self.attached = AttachedBodies(self, files)

    def body(self, call: Call) -> bytes:
        """The request's JSON, as the model is known to want it.

        Raises:
            KindFailed: the kind makes none.
        """
        try:
            body = self._bound.body(call.prompts(), repair=call.repair)
            return _encoded(self._as_wanted(body, call.parameters))
        except Exception as error:
            raise KindFailed.raised(self._kind, "body", error) from error

    def attached_body(self, call: Call, attachments: Sequence[Sequence[Attachment]]) -> EncodedBody:
        """The request with its files, as JSON or as a form; in a thread.

        Raises:
            KindFailed: the kind makes none.
        """
        try:
            made = self._made(call, attachments)
            if isinstance(made, Form):
                return EncodedBody(*encode_form(made))
            return EncodedBody(_encoded(made), JSON_TYPE)
        except Exception as error:
            raise KindFailed.raised(self._kind, "attached_body", error) from error

    def shown_body(self, call: Call, attachments: Sequence[Sequence[Attachment]]) -> bytes:
        """The same as JSON, whatever it is sent as.

        Raises:
            KindFailed: the kind makes none.
        """
        try:
            made = self._made(call, attachments)
            return _encoded(made.to_json() if isinstance(made, Form) else made)
        except Exception as error:
            raise KindFailed.raised(self._kind, "attached_body", error) from error

    def _made(
        self, call: Call, attachments: Sequence[Sequence[Attachment]]
    ) -> dict[str, Any] | Form:
        """A body with files before it is encoded."""
        assert isinstance(self._bound, AttachesFiles)
        body = self._bound.attached_body(call.prompts(), attachments, repair=call.repair)
        if isinstance(body, Form):
            return Form(self._as_wanted(dict(body.fields), call.parameters), body.files)
        return self._as_wanted(body, call.parameters)

    def _as_wanted(self, body: dict[str, Any], own: RowParameters | None) -> dict[str, Any]:
        """The body with the model, the user's parameters, the row's and what was learned."""
        body.update(self._added)
        if own is not None:
            put_row_parameters(body, own)
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
        self,
        shape: Shape,
        learning: Learning,
        *,
        limits: OutputLimits,
        parameters: Mapping[str, Any],
        most_bytes: int | None,
    ) -> None:
        """``parameters`` are the user's for all rows; ``most_bytes`` is his own limit."""
        self._shape = shape
        self._learning = learning
        self._limits = limits
        self._parameters = parameters
        self._most_text_bytes = most_text_bytes(limits.usual, parameters)
        self._most_bytes = most_bytes

    def most_bytes(self, call: Call) -> int:
        """The most that the answer to a call may take."""
        if self._most_bytes is not None:
            return self._most_bytes
        shape = self._shape
        if shape is Shape.JSON:
            return self._of_text(call)
        vectors = most_vector_bytes(len(call.pieces), self._learning.learned.dimension)
        return vectors if shape is Shape.VECTOR else vectors + self._of_text(call)

    def _of_text(self, call: Call) -> int:
        """The most that is no vector."""
        if not self._limits.vary:
            return self._most_text_bytes
        own = call.parameters
        parameters = self._parameters if own is None else {**self._parameters, **own}
        return most_text_bytes(self._limits.of(own, len(call.pieces)), parameters)


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return exactjson.dumps(body).encode()  # a parameter may be an integer of any size
