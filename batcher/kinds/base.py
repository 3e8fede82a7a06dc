"""A kind with everything that most kinds have in common, so that the smallest takes a screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any, Self

from batcher.core.errors import UsageError
from batcher.core.kind import (
    Endpoint,
    Field,
    Invalid,
    Option,
    Outcome,
    Overlong,
    TextFile,
)
from batcher.core.model import Prompt
from batcher.core.options import flag, read_options
from batcher.core.row.attachments import USUAL_ATTACHMENT_BYTES
from batcher.kinds.texts import ColumnsText


class BaseKind:
    """A kind, and the same with its options: see :class:`batcher.core.kind.Kind` and ``BoundKind``.

    A subclass has a ``name``, a ``summary`` that is a sentence, its ``options``, ``endpoint`` and
    ``fields``; it says in ``begin`` what its options mean, and has ``body`` and ``parse``. A row's
    prompt is the text of the columns that an option of the type ``columns`` names, unless
    ``render`` makes another one. Where a request carries many rows, ``packs`` is true; then
    ``max_pieces`` says how many, unless only the model's context limits them. One with
    ``attachments`` and ``attached_body`` attaches files, and needs no ``body``.
    """

    name: str
    summary: str
    version: int = 1
    options: tuple[Option, ...] = ()
    endpoint: str = Endpoint.CHAT
    fields: tuple[Field, ...] = ()
    columns: tuple[str, ...] = ()
    packs: bool = False
    overlong: Overlong = Overlong.ERROR
    max_output_tokens: int | None = None
    fixed_texts: tuple[str, ...] = ()
    optional_parameters: frozenset[str] = frozenset()
    identity: Mapping[str, Any] = {}
    most_attachment_bytes: int = USUAL_ATTACHMENT_BYTES

    def __repr__(self) -> str:
        """The kind's name."""
        return f"<{type(self).__name__} {self.name}>"

    def bind(self, options: Mapping[str, Any]) -> Self:
        """See :meth:`batcher.core.kind.Kind.bind`."""
        values = read_options(self.name, self.options, options)
        bound = copy(self)
        bound.identity = {name: _plain(value) for name, value in values.items()}
        named = [
            values[option.name]
            for option in self.options
            if option.type == "columns" and values[option.name] is not None
        ]
        bound.columns = tuple(dict.fromkeys(column for columns in named for column in columns))
        bound.begin(values)
        return bound

    def begin(self, options: Mapping[str, Any]) -> None:
        """Take the options, which have their types and defaults: ``self`` is the job's own.

        Raises:
            batcher.core.errors.UsageError: they do not go together.
        """

    def require(self, options: Mapping[str, Any], *names: str) -> None:
        """Refuse to go on without some options.

        Raises:
            batcher.core.errors.UsageError: one was not given.
        """
        for name in names:
            if options[name] in (None, "", ()):
                raise UsageError(f"{self.name} needs {flag(name)}")

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """See :meth:`batcher.core.kind.BoundKind.render`: the text of the columns."""
        return (ColumnsText(self.columns).render(record),)

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        """See :meth:`batcher.core.kind.BoundKind.body`."""
        raise TypeError(f"{type(self).__name__} has no body")

    def attachment_tokens(self, size_bytes: int) -> int:
        """See :class:`batcher.kinds.AttachesFiles`: files are not billed by tokens."""
        del size_bytes
        return 0

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        """See :meth:`batcher.core.kind.BoundKind.parse`."""
        raise TypeError(f"{type(self).__name__} has no parse")


def _plain(value: Any) -> Any:
    """An option's value as plain JSON: of a file its contents."""
    if isinstance(value, TextFile):
        return value.text
    return list(value) if isinstance(value, tuple) else value
