"""A kind of somebody's own package that does what a kind must not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

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


class Awkward:
    """The kind ``awkward``; ``fault`` is what is wrong with it at present, None for nothing."""

    name = "awkward"
    version = 1
    summary = "Fails as it is told to."
    options = (Option(name="text", help="Column that holds the text."),)

    def __init__(self) -> None:
        self.fault: str | None = None
        self.shape = Shape.JSON

    def bind(self, options: Mapping[str, Any]) -> BoundAwkward:
        if self.fault == "bind":
            raise LookupError(f"not found: {options}")
        return BoundAwkward(self, self.shape, str(options["text"]))


class BoundAwkward:
    endpoint = Endpoint.CHAT
    packs = False
    overlong = Overlong.ERROR
    max_output_tokens: int | None = None
    fixed_texts: tuple[str, ...] = ()
    optional_parameters: frozenset[str] = frozenset()
    identity: Mapping[str, Any] = {}

    def __init__(self, kind: Awkward, shape: Shape, column: str) -> None:
        self._kind = kind
        self.columns = (column,)
        vector = Field(name="value", type="vector")
        self.fields = (vector if shape is Shape.VECTOR else Field(name="value", type="text"),)

    def render(self, record: Mapping[str, Any]) -> Prompt:
        text = str(record[self.columns[0]])
        if self._kind.fault == "render" and "late" in text:
            raise KeyError(text)
        if self._kind.fault == "render_none":
            return None  # type: ignore[return-value]
        return (text,)

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        del repair
        text = prompts[0][0]
        if self._kind.fault == "body" and "late" in text:
            raise ZeroDivisionError(text)
        if self._kind.fault == "body_set" and "late" in text:
            return {"messages": {text}}
        return {"messages": [{"role": "user", "content": text}]}

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        text = answer["choices"][0]["message"]["content"]
        odd: dict[str, Any] = {
            "too_many": [Broken("a", "b")] * (count + 1),
            "no_list": None,
            "text": [Done(text)],
            "lines": [Done(b"{\n}")],
            "bare": [text],
            "vector": [Done(b"12345")],
        }
        if self._kind.fault == "parse":
            raise RuntimeError(f"cannot read {text}")
        if self._kind.fault in odd:
            outcomes: list[Outcome] = odd[self._kind.fault]
            return outcomes
        if self.fields[0].type == "vector":
            return [Done(b"\0\0\0\0")]
        return [Done(orjson.dumps({"value": text}))]


KIND = Awkward()
