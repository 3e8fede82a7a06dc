"""What a kind may say of itself beyond what every kind must: each is a protocol of its own.

A bound kind that has the attribute or the method is asked; one that has not costs nothing. The
engine reads them here and through the functions beside them, and nowhere by a kind's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from batcher.core.answerbound import AnswerBound
from batcher.core.kind import BoundKind, Endpoint, Invalid
from batcher.core.model import Prompt
from batcher.core.row.attachments import Attachment, Form


@runtime_checkable
class TakesTextViews(Protocol):
    """A bound kind that takes an answer's longest texts as bytes, since a copy of them is dear.

    ``text_views`` is the name of the members that hold them. Each of these texts may come to
    ``parse`` as a ``memoryview`` of the answer's bytes, or as a text as usual.
    """

    text_views: str


@runtime_checkable
class LimitsPieces(Protocol):
    """A bound kind that packs, and knows how many pieces a request may carry at the most."""

    max_pieces: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How many tokens an endpoint adds: for each text, and for each request."""

    text: int = 0
    request: int = 0


CHAT_FRAMING = Framing(text=4, request=3)
"""OpenAI's cookbook, "How to count tokens with tiktoken": 3 tokens a message and one for its role,
and 3 that prime the reply."""


@runtime_checkable
class FramesTexts(Protocol):
    """A bound kind that says what frames its texts; else it is what its endpoint usually adds."""

    framing: Framing


def framing_of(bound: BoundKind) -> Framing:
    """What frames the texts of a kind's requests."""
    if isinstance(bound, FramesTexts):
        return bound.framing
    return CHAT_FRAMING if bound.endpoint == Endpoint.CHAT else Framing()


def most_pieces(bound: BoundKind) -> int | None:
    """How many pieces a request of a kind may carry; None where only tokens limit them."""
    if not bound.packs:
        return 1
    return bound.max_pieces if isinstance(bound, LimitsPieces) else None


@runtime_checkable
class GrowsOutput(Protocol):
    """A bound kind that packs, and whose answers are the longer the more pieces they are about.

    The cap that the body of a request of n pieces sends is ``max_output_tokens`` and n times
    ``output_tokens_per_piece``; there is none where ``max_output_tokens`` is None.
    """

    output_tokens_per_piece: int


def output_growth(bound: BoundKind) -> int:
    """By how many tokens the cap on a request's output grows with each of its pieces."""
    if bound.max_output_tokens is None or not isinstance(bound, GrowsOutput):
        return 0
    return bound.output_tokens_per_piece


def output_cap(bound: BoundKind, pieces: int) -> int | None:
    """The cap on the output of a request of so many pieces that a kind's body sends, or None."""
    if bound.max_output_tokens is None:
        return None
    return bound.max_output_tokens + pieces * output_growth(bound)


@runtime_checkable
class SetsRowParameters(Protocol):
    """A bound kind whose requests have parameters that differ from row to row."""

    def row_parameters(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters of one row's request, by their names, as plain JSON; empty for none.

        They stand in the body in place of what the kind or the user says for all rows. One of
        :data:`batcher.core.row.parameters.OUTPUT_CAPS` is the row's own cap on the output: what is
        reserved of the limit and of the budget goes by it. Rows whose parameters differ are not
        packed into one request.

        Raises:
            batcher.core.errors.RowError: the row's are not right.
        """
        ...


@runtime_checkable
class AttachesFiles(Protocol):
    """A bound kind whose requests carry files besides texts.

    ``most_attachment_bytes`` is how long one may be.
    """

    most_attachment_bytes: int

    def attachments(self, record: Mapping[str, Any]) -> Sequence[str]:
        """Where one row's files are, in order: paths, and URLs of http and https; empty for none.

        A path that is relative is so to the input's folder, or to the working directory where the
        input is no file. The engine reads the files, measures and hashes them; rows with other
        contents are other rows. One that is not there, or is too long, fails its row.

        Raises:
            batcher.core.errors.RowError: the row does not say.
        """
        ...

    def attachment_tokens(self, size_bytes: int) -> int:
        """The most tokens that a file of that size is billed as; 0 where it is not by tokens."""
        ...

    def attached_body(
        self,
        prompts: Sequence[Prompt],
        attachments: Sequence[Sequence[Attachment]],
        *,
        repair: Invalid | None = None,
    ) -> dict[str, Any] | Form:
        """The request's body, in place of :meth:`BoundKind.body`, without ``model``.

        ``attachments`` are the files of each prompt's row. It is called in a thread.
        """
        ...


@runtime_checkable
class NamesColumns(Protocol):
    """A bound kind whose users name columns in a language of their own, such as templates."""

    def how_to_name(self, present: Sequence[str]) -> str:
        """What to say when a column is not there, of how one is named; empty for nothing.

        ``present`` are the columns that there are, the likeliest first; empty if not known.
        """
        ...


@runtime_checkable
class RefusesToBegin(Protocol):
    """A bound kind that does what it is told in a job that is there, and begins none that is so."""

    def check_beginning(self) -> None:
        """Look at the options as a whole.

        Raises:
            batcher.core.errors.UsageError: they are probably not what is meant.
        """
        ...


@runtime_checkable
class NotesColumns(Protocol):
    """A bound kind that has something to say of an input's columns before anything is sent."""

    def notes_on(self, columns: Sequence[str]) -> Sequence[str]:
        """What to say, a sentence each; ``columns`` are the input's."""
        ...


@runtime_checkable
class BoundsAnswers(Protocol):
    """A bound kind whose answers have a form that may bound them, where no limit is given."""

    def longest_answer(self) -> AnswerBound | None:
        """The longest answer that has this form; None where there is no form.

        Raises:
            batcher.core.answerbound.Unbounded: the form bounds nothing.
        """
        ...


@runtime_checkable
class VersionsItself(Protocol):
    """A bound kind that an earlier version of it would have bound just so: it is that version's."""

    version: int


@runtime_checkable
class SeesParameters(Protocol):
    """A bound kind to which it matters what the user adds to every request's body."""

    def seeing(self, parameters: Mapping[str, Any]) -> BoundKind:
        """The same kind, for requests with these parameters besides its own."""
        ...
