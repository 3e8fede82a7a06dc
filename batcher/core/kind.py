"""What a job kind must say about itself: options, rendering, request bodies, reading answers.

A kind is a plugin: one object, found through the entry point group ``batcher.kinds``. It meets the
engine only through the types here; it does no I/O (the files that its options name are read for
it), and it knows nothing of limits, retries or checkpoints. Whatever it raises beyond what is said
here stops its job in good order, as a fault of its package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from batcher.core.model import Prompt


class Endpoint(StrEnum):
    """The API path, below the base URL, that a kind's requests go to."""

    EMBEDDINGS = "/embeddings"
    CHAT = "/chat/completions"


_FREE_OUTPUT = frozenset({"/embeddings", "/decisions"})


def has_free_output(endpoint: str) -> bool:
    """Whether what an endpoint answers costs nothing beside the prompt: it has no output price."""
    return str(endpoint) in _FREE_OUTPUT


class Overlong(StrEnum):
    """What to do with a row whose text exceeds the limit of tokens per input."""

    ERROR = "error"
    TRUNCATE = "truncate"
    MEAN = "mean"
    SPLIT = "split"


class Shape(StrEnum):
    """How a piece's result is kept: a vector (little-endian float32), a JSON object, or both."""

    VECTOR = "vector"
    JSON = "json"
    BOTH = "vector_and_json"


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file that an option names, read: a worker elsewhere has its text and not the file.

    ``path`` is empty where the option gave the text itself.
    """

    path: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a kind, as the command line and a job file offer it.

    ``name`` is written with underscores (``labels_file``); the flag has dashes. ``type`` ``path``
    is a text file, which :meth:`Kind.bind` gets as a :class:`TextFile`; ``template`` is a text or
    the file that holds it, likewise (as a plain text only in jobs of versions that took no file);
    ``columns`` are one or more columns of the input, which come as a tuple; ``flag`` is a boolean
    without a value; ``list`` is some texts, which the command line takes as one CSV record, and one
    at a time by the flag ``item``, where that is named. ``at_least`` is the lowest value that a
    number may have.
    """

    name: str
    help: str
    type: Literal["text", "int", "float", "path", "template", "columns", "flag", "list"] = "text"
    item: str | None = None
    choices: tuple[str, ...] = ()
    at_least: int | float | None = None
    default: str | int | float | bool | None = None
    metavar: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field that a kind adds to an output record, with its type for typed formats."""

    name: str
    type: Literal["vector", "text", "float", "int", "json"]


def shape_of(fields: Sequence[Field]) -> Shape:
    """How the results of a kind with these fields are kept; at most one of them is a vector."""
    if all(field.type != "vector" for field in fields):
        return Shape.JSON
    return Shape.VECTOR if len(fields) == 1 else Shape.BOTH


@dataclass(frozen=True, slots=True)
class Done:
    """The piece has its result.

    ``value`` has the kind's fields by their names: numbers, texts, lists and objects as JSON has
    them, a vector as a sequence of numbers or an array of shape (dimension,). A vector with a value
    that is not a finite float32 is no result: it counts as :class:`Broken`. A kind that makes the
    bytes itself may give them: those of the float32s where the vector is the only field, one
    compact JSON object in UTF-8 where there is no vector.
    """

    value: Mapping[str, Any] | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Broken:
    """The answer does not hold a usable result for this piece; asking again may help.

    ``whole``: the answer as a whole is wrong, whatever its pieces hold. That is no row's fault, so
    a few such answers in a row, with no result between them, stop the job.
    """

    code: str
    message: str = field(repr=False)
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not answer this piece; asking again would not help.

    ``common``: every piece may meet the same, such as a limit that is too low for any answer. Where
    the first answers of a job are all so, the job stops and no row fails.
    """

    code: str
    message: str = field(repr=False)
    common: bool = False


@dataclass(frozen=True, slots=True)
class Invalid:
    """Structured output that breaks its schema: ``answer`` is what came, to be repaired."""

    code: str
    message: str = field(repr=False)
    answer: str = field(repr=False)


Outcome: TypeAlias = Done | Broken | Refused | Invalid


class BoundKind(Protocol):
    """A kind with its options checked: what one job does to every row.

    Attributes:
        endpoint: the API path below the base URL that the requests go to: ``/rerank``, or one of
            :class:`Endpoint`.
        fields: what it adds to an output record, in order; at most one is a vector.
        columns: the input columns that ``render`` needs; checked before anything is sent.
        packs: whether one request may carry many pieces.
        overlong: what to do with a text above the limit of tokens per input.
        max_output_tokens: the cap on a request's output that the body sends, or None.
        fixed_texts: texts that every request carries once, however many pieces, for counting
            tokens.
        optional_parameters: body parameters that may be dropped when a server refuses them.
        identity: everything of the options that shapes a request, contents instead of paths, as
            plain JSON; part of the job's fingerprint.
    """

    endpoint: str
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    packs: bool
    overlong: Overlong
    max_output_tokens: int | None
    fixed_texts: tuple[str, ...]
    optional_parameters: frozenset[str]
    identity: Mapping[str, Any]

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The texts of one row; a prompt whose texts are all blank is an empty input.

        A kind with ``packs`` or an ``overlong`` other than ``error`` renders exactly one text.

        Raises:
            batcher.core.errors.RowError: the row cannot be rendered.
        """
        ...

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        """The request's JSON body without ``model``; one prompt unless the kind packs.

        ``repair`` is the invalid answer that the last attempt got, to be mended.
        """
        ...

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        """One outcome for each of the ``count`` pieces asked, in the order asked.

        ``answer`` is the decoded body of a 200, the kind's own to take apart. Never raises on a
        malformed answer: pieces that it lacks, repeats or garbles are :class:`Broken`.
        """
        ...


@runtime_checkable
class Kind(Protocol):
    """A job kind: its name, the version of its meaning, and its options.

    ``version`` grows whenever the same options would shape requests or results otherwise. A kind
    may also have an ``example``: its options as one would type them, for the help; and ``earlier``:
    its former versions, each a kind, with which jobs that were begun with them go on.
    """

    name: str
    version: int
    summary: str
    options: tuple[Option, ...]

    def bind(self, options: Mapping[str, Any]) -> BoundKind:
        """Check the options.

        Raises:
            batcher.core.errors.UsageError: an option is missing, unknown or contradictory.
        """
        ...


def earlier_versions(kind: Kind) -> tuple[Kind, ...]:
    """The former versions of a kind that are still there, the latest first."""
    versions: tuple[Kind, ...] = getattr(kind, "earlier", ())
    return versions


def of_version(kind: Kind, version: int) -> Kind | None:
    """The kind as it was in that version; None where that is gone."""
    return next((one for one in (kind, *earlier_versions(kind)) if one.version == version), None)
