"""A kind of somebody's own package that asks about many rows in one prompt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.kind import (
    Broken,
    Done,
    Field,
    Invalid,
    Option,
    Outcome,
    Overlong,
)
from batcher.core.kind_optional import Framing
from batcher.core.model import Prompt
from batcher.core.options import read_options

INSTRUCTIONS = "Say of each numbered text whether it is long or short, as a JSON object by number."
_MISSING = Broken("missing", "the answer does not speak of this text")


class Packing:
    """The kind ``packing``."""

    name = "packing"
    version = 1
    summary = "One word about each of many rows."
    options: tuple[Option, ...] = (Option(name="text", help="Column that holds the text."),)

    def bind(self, options: Mapping[str, Any]) -> BoundPacking:
        return BoundPacking(read_options(self.name, self.options, options)["text"])


class BoundPacking:
    endpoint: str = "/answers"
    fields: tuple[Field, ...] = (Field(name="word", type="text"),)
    packs = True
    max_pieces = 5
    framing = Framing(text=2, request=7)
    overlong = Overlong.ERROR
    max_output_tokens: int | None = 50
    fixed_texts: tuple[str, ...] = (INSTRUCTIONS,)
    optional_parameters: frozenset[str] = frozenset()
    identity: Mapping[str, Any] = {}

    def __init__(self, column: str) -> None:
        self.columns: tuple[str, ...] = (column,)

    def render(self, record: Mapping[str, Any]) -> Prompt:
        return (str(record[self.columns[0]]),)

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        body: dict[str, Any] = {
            "instructions": INSTRUCTIONS,
            "texts": [text for (text,) in prompts],
        }
        if repair is not None:
            body["repair"] = repair.answer
        return body

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        words = answer.get("words")
        if not isinstance(words, dict):
            return [_MISSING] * count
        outcomes: list[Outcome] = []
        for number in range(count):
            word = words.get(str(number))
            if word is None:
                outcomes.append(_MISSING)
            elif word not in ("long", "short"):
                outcomes.append(Invalid("invalid_output", "it is another word", str(word)))
            else:
                outcomes.append(Done(json.dumps({"word": word}).encode()))
        return outcomes


KIND = Packing()
