"""``embed``: one vector for the text of each row.

Many rows go into one request. Vectors are asked for as base64 and kept as little-endian float32;
servers that answer with JSON floats all the same are understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from batcher.core.answers import broken_off, text_of
from batcher.core.errors import RowOverBudget, UsageError
from batcher.core.kind import (
    Broken,
    Done,
    Endpoint,
    Field,
    Invalid,
    Option,
    Outcome,
    Overlong,
    TextFile,
)
from batcher.core.model import Prompt
from batcher.core.options import read_options, require_one
from batcher.kinds.metering import MOST_CHARACTERS
from batcher.kinds.texts import TEXT, ColumnsText, is_template
from batcher.kinds.vectors import read_vector

_MISSING = Broken("missing_vector", "the answer lacks this input's vector")
_FEWER = Broken(
    "missing_vector",
    "the answer has fewer vectors than texts, and does not say whose are missing; --max-inputs 1 "
    "sends each text alone",
)
_UNUSABLE = Broken(
    "bad_vector", "the answer's vector cannot be used: it holds values that are not float32 numbers"
)
_NO_ITEM = object()
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Embed:
    """The kind ``embed``."""

    name = "embed"
    version = 1
    summary = "One embedding vector for each row."
    example = "--text body"
    options = (
        TEXT,
        Option(
            name="template",
            help="Text made of several columns: a Jinja2 template, '{{ title }}: {{ body }}', or "
            "the file that holds one.",
            type="template",
            metavar="TEXT|FILE",
        ),
        Option(
            name="dimensions",
            help="Length of the vectors, where the model can shorten them.",
            type="int",
            at_least=1,
        ),
        Option(
            name="overlong",
            help="A text above the model's limit: a failed row, cut off, mean of its chunks' "
            "vectors weighted by length, or one record per chunk.",
            choices=tuple(Overlong),
            default="error",
        ),
    )

    def bind(self, options: Mapping[str, Any]) -> BoundEmbed:
        """Check the options.

        Raises:
            UsageError: neither or both of ``text`` and ``template``, or a template that is none.
        """
        values = read_options(self.name, self.options, options)
        text: Text
        if require_one(self.name, values, "text", "template") == "text":
            text = _Columns(values["text"])
        else:
            text = _read_template(values["template"])
        return BoundEmbed(text, values["dimensions"], Overlong(values["overlong"]))


class Text(Protocol):
    """What makes the text of a row, and the part of the job's identity that it is."""

    columns: tuple[str, ...]
    identity: Mapping[str, Any]
    notes: tuple[str, ...]

    def render(self, record: Mapping[str, Any]) -> str:
        """The row's text; blank where all its columns are."""
        ...

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.kinds.NamesColumns`."""
        ...


class _Columns(ColumnsText):
    """Columns as they are: one makes the identity that it has always had."""

    identity: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__(columns)
        only = isinstance(self.names, str)
        self.identity = {"parts": [[self.names, True]]} if only else {"texts": self.names}


class _Template:
    """A Jinja2 template."""

    identity: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def __init__(self, source: str) -> None:
        from batcher.kinds.templates import Templates  # Jinja2 takes a while to import

        self._templates = Templates()
        self._template = self._templates.add("--template", source)
        self.columns = self._template.columns
        self.identity = {"template": source}
        if hint := self._template.single_braces_hint():
            raise UsageError(f"--template: {hint}; a brace that is text is {{{{ '{{' }}}}")
        if not self._template.varies:
            raise UsageError("--template names no column: write it as {{ column }}")

    def render(self, record: Mapping[str, Any]) -> str:
        self._templates.begin()
        text = self._template.render(record)
        if self.columns and all(not _text(record, column).strip() for column in self.columns):
            return ""
        return text

    def how_to_name(self, present: Sequence[str]) -> str:
        from batcher.kinds.templates import how_to_name

        return how_to_name(present)


class _FormerTemplate:
    """A template of ``{column}``, as they were before; ``parts`` are those of the identity."""

    identity: Mapping[str, Any]
    notes: tuple[str, ...] = (
        "--template: {column} is the old syntax for a column; write {{ column }}",
    )

    def __init__(self, template: str) -> None:
        self._parts = parts = _parse_template(template)
        self.columns = tuple(dict.fromkeys(text for text, is_column in parts if is_column))
        self.identity = {"parts": [list(part) for part in parts]}

    def render(self, record: Mapping[str, Any]) -> str:
        values = [(text_of(record, text) if is_column else text) for text, is_column in self._parts]
        if all(
            not value.strip()
            for value, (_, is_column) in zip(values, self._parts, strict=True)
            if is_column
        ):
            return ""
        if sum(map(len, values)) > MOST_CHARACTERS:
            raise RowOverBudget(f"the template makes more than {MOST_CHARACTERS:,} characters")
        return "".join(values)

    def how_to_name(self, present: Sequence[str]) -> str:
        del present
        return ""


def _read_template(given: TextFile | str) -> Text:
    """The template that an option gave; a plain text is one of a job of former versions.

    Raises:
        UsageError: it is none.
    """
    if isinstance(given, str):
        return _FormerTemplate(given)
    if not given.path and not is_template(given.text) and "{" in given.text:
        return _FormerTemplate(given.text)
    return _Template(given.text)


def _text(record: Mapping[str, Any], column: str) -> str:
    return text_of(record, column) if column in record else ""


def _parse_template(template: str) -> tuple[tuple[str, bool], ...]:
    """Literals (False) and column names (True) of a template of ``{column}``.

    Raises:
        UsageError: it is none.
    """
    parts: list[tuple[str, bool]] = []
    literal = ""
    end = 0
    for match in _PLACEHOLDER.finditer(template):
        literal += template[end : match.start()]
        end = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            literal += token[0]
        elif match.group(1) is None or not match.group(1).strip():
            raise UsageError(
                f"--template has a lone or empty brace at character {match.start()}: write "
                "{{ column }} for a column"
            )
        else:
            if literal:
                parts.append((literal, False))
            parts.append((match.group(1).strip(), True))
            literal = ""
    literal += template[end:]
    if literal:
        parts.append((literal, False))
    if not any(is_column for _, is_column in parts):
        raise UsageError("--template names no column: write it as {{ column }}")
    return tuple(parts)


class BoundEmbed:
    """``embed`` with its options: see :class:`batcher.core.kind.BoundKind`."""

    endpoint = Endpoint.EMBEDDINGS
    fields = (Field(name="embedding", type="vector"),)
    packs = True
    max_output_tokens: int | None = 0
    fixed_texts: tuple[str, ...] = ()
    optional_parameters = frozenset({"encoding_format"})
    text_views = "embedding"

    def __init__(self, text: Text, dimensions: int | None, overlong: Overlong) -> None:
        """``text`` makes a row's text."""
        self._text = text
        self._dimensions = dimensions
        self.overlong = overlong
        self.columns = text.columns
        self.identity = {
            **text.identity,
            "dimensions": dimensions,
            "overlong": str(overlong),
        }

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The row's text; blank where all its columns are blank."""
        return (self._text.render(record),)

    def how_to_name(self, present: Sequence[str]) -> str:
        """See :class:`batcher.kinds.NamesColumns`."""
        return self._text.how_to_name(present)

    def notes_on(self, columns: Sequence[str]) -> Sequence[str]:
        """See :class:`batcher.kinds.NotesColumns`."""
        del columns
        return self._text.notes

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        """The array of texts; vectors as base64."""
        del repair  # there is nothing to repair in a vector
        body: dict[str, Any] = {
            "input": [prompt[0] for prompt in prompts],
            "encoding_format": "base64",
        }
        if self._dimensions is not None:
            body["dimensions"] = self._dimensions
        return body

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        """Vectors by their ``index``, where that tells for certain which text's each one is."""
        data = answer.get("data")
        items = _items(data) if isinstance(data, list) else []
        places = _places(items, count)
        if isinstance(places, Broken):
            return [places] * count
        outcomes: list[Outcome] = [_MISSING] * count
        for place, item in zip(places, items, strict=True):
            vector = read_vector(item.pop("embedding", None))  # as text it takes the more room
            error = item.get("error")
            failure = broken_off(error) if error else _UNUSABLE
            outcomes[place] = failure if vector is None else Done(vector)
        return self._check_dimension(outcomes)

    def _check_dimension(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Where a length was asked for, a vector of another one is no result."""
        if self._dimensions is None:
            return outcomes
        return [
            Broken("wrong_dimension", "the vector does not have the dimensions asked for")
            if isinstance(outcome, Done) and len(outcome.value) != 4 * self._dimensions
            else outcome
            for outcome in outcomes
        ]


def _items(data: list[Any]) -> list[Any]:
    """The items of ``data``, also where it is a list of them once more, or of bare vectors."""
    if not data or not isinstance(data[0], list):
        return data
    if len(data) == 1 and data[0] and isinstance(data[0][0], dict):
        return data[0]
    return [{"embedding": item} if isinstance(item, list) else item for item in data]


def _places(items: Sequence[object], count: int) -> list[int] | Broken:
    """Which text each item of an answer belongs to, or why that cannot be known.

    An item without an ``index`` belongs where it stands. All indexes together must be those of all
    texts. Where there are fewer items, they say for certain what is missing only if they have gaps:
    a server that drops a text may number the others anew.
    """
    given = [item.get("index") if isinstance(item, dict) else _NO_ITEM for item in items]
    if given == list(range(count)):
        return list(range(count))
    indexes = [place if index is None else _whole(index) for place, index in enumerate(given)]
    places = [index for index in indexes if isinstance(index, int) and 0 <= index < count]
    if not items:
        return _MISSING
    if len(set(places)) < len(indexes):
        return Broken("wrong_index", _what_is_wrong(indexes, count), whole=True)
    if len(places) < count and (None in given or places == list(range(len(places)))):
        return _FEWER
    return places


def _whole(index: object) -> object:
    """An index as a number, also where it is written as a text or with a fraction of nothing."""
    if isinstance(index, bool):
        return _NO_ITEM
    if isinstance(index, float) and index.is_integer():
        return int(index)
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 9:
        return int(index)
    return index


def _what_is_wrong(indexes: Sequence[object], count: int) -> str:
    right = "0" if count == 1 else f"0 to {count - 1}"
    said = ", ".join(str(index) if isinstance(index, int) else "?" for index in indexes[:4])
    more = ", …" if len(indexes) > 4 else ""
    advice = "; --max-inputs 1 sends each text alone" if count > 1 and 0 in indexes else ""
    return (
        f"the answer numbers its {len(indexes)} vectors {said}{more} instead of {right}, so that "
        f"nobody can tell which text each belongs to{advice}"
    )


KIND = Embed()
