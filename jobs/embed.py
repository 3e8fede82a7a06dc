"""``embed``: one vector for the text of each row.

Many rows go into one request. Vectors are asked for as base64 and kept as little-endian float32;
servers that answer with JSON floats all the same are understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pybase64

from batcher.core.answers import text_of
from batcher.core.errors import UsageError
from batcher.core.kind import (
    Broken,
    Done,
    Endpoint,
    Field,
    Invalid,
    Option,
    Outcome,
    Overlong,
    Shape,
)
from batcher.core.model import Prompt
from batcher.core.options import read_options, require_one

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class Embed:
    """The kind ``embed``."""

    name = "embed"
    version = 1
    summary = "One embedding vector for each row."
    example = "--text body"
    options = (
        Option(name="text", help="Column that holds the text.", metavar="COLUMN"),
        Option(
            name="template",
            help="Text made of several columns, like '{title}: {body}' ({{ and }} are braces).",
            metavar="TEMPLATE",
        ),
        Option(
            name="dimensions",
            help="Length of the vectors, where the model can shorten them.",
            type="int",
            at_least=1,
        ),
        Option(
            name="overlong",
            help="A text above the model's limit: dead letter, cut off, mean of its chunks' "
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
        if require_one(self.name, values, "text", "template") == "text":
            parts: tuple[tuple[str, bool], ...] = ((values["text"], True),)
        else:
            parts = _parse_template(values["template"])
        return BoundEmbed(parts, values["dimensions"], Overlong(values["overlong"]))


class BoundEmbed:
    """``embed`` with its options: see :class:`batcher.core.kind.BoundKind`."""

    endpoint = Endpoint.EMBEDDINGS
    shape = Shape.VECTOR
    fields = (Field(name="embedding", type="vector"),)
    packs = True
    max_output_tokens: int | None = 0
    fixed_texts: tuple[str, ...] = ()
    optional_parameters = frozenset({"encoding_format"})

    def __init__(
        self, parts: tuple[tuple[str, bool], ...], dimensions: int | None, overlong: Overlong
    ) -> None:
        """``parts`` are literal texts (False) and column names (True), in order."""
        self._parts = parts
        self._dimensions = dimensions
        self.overlong = overlong
        self.columns = tuple(dict.fromkeys(text for text, is_column in parts if is_column))
        self.identity = {
            "parts": [list(part) for part in parts],
            "dimensions": dimensions,
            "overlong": str(overlong),
        }

    def render(self, record: Mapping[str, Any]) -> Prompt:
        """The row's text; blank where all its columns are blank."""
        if len(self._parts) == 1:
            return (text_of(record, self._parts[0][0]),)
        values = [(text_of(record, text) if is_column else text) for text, is_column in self._parts]
        if all(
            not value.strip()
            for value, (_, is_column) in zip(values, self._parts, strict=True)
            if is_column
        ):
            return ("",)
        return ("".join(values),)

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
        """Vectors by their ``index``; an index that is absent, doubled or strange is no result."""
        data = answer.get("data")
        vectors: dict[int, bytes | None] = {}
        for place, item in enumerate(data if isinstance(data, list) else ()):
            index = item.get("index", place) if isinstance(item, dict) else None
            if isinstance(index, int) and 0 <= index < count:
                vectors[index] = None if index in vectors else _read_vector(item.get("embedding"))
        outcomes: list[Outcome] = []
        for index in range(count):
            vector = vectors.get(index)
            if vector is not None:
                outcomes.append(Done(vector))
            elif index in vectors:
                outcomes.append(Broken("bad_vector", "the answer's vector is doubled or unusable"))
            else:
                outcomes.append(Broken("missing_vector", "the answer lacks this input's vector"))
        return self._check_dimension(outcomes)

    def _check_dimension(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Where a length was asked for, a vector of another one is no result."""
        if self._dimensions is None:
            return outcomes
        return [
            Broken("wrong_dimension", "the vector has not the dimensions asked for")
            if isinstance(outcome, Done) and len(outcome.value) != 4 * self._dimensions
            else outcome
            for outcome in outcomes
        ]


def _read_vector(embedding: object) -> bytes | None:
    """Raw float32 of a base64 string or a list of numbers; None where it is neither."""
    try:
        if isinstance(embedding, str):
            raw = pybase64.b64decode(embedding, validate=True)
            vector = np.frombuffer(raw, dtype="<f4")
        elif isinstance(embedding, list):
            vector = _as_float32(embedding)
            raw = vector.tobytes()
        else:
            return None
    except (ValueError, TypeError, OverflowError):
        return None
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        return None
    return raw


def _as_float32(numbers: list[object]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as such
        return np.asarray(numbers, dtype="<f4")


def _parse_template(template: str) -> tuple[tuple[str, bool], ...]:
    """Literals and column names of ``{column}``; no formatting language, no attribute access."""
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
                "{column} for a column, {{ and }} for braces"
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
        raise UsageError("--template names no column: write it as {column}")
    return tuple(parts)


KIND = Embed()
