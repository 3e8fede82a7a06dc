"""A kind of somebody's own package whose rows have request parameters of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.core.errors import RowError
from batcher.kinds import BaseKind, Broken, Done, Field, Invalid, Option, Outcome, Prompt
from batcher.kinds.texts import TEXT

USUAL_TOKENS = 100


class Own(BaseKind):
    """The kind ``own``: one answer a text, with the temperature and the length of its columns.

    ``together`` rows may share a request; each adds ``each_tokens`` to the answer.
    """

    name = "own"
    summary = "One answer for each row, as its row wants it."
    options = (
        TEXT,
        Option(name="together", type="int", at_least=1, default=1, help="Rows a request."),
        Option(name="each_tokens", type="int", default=0, help="What a row adds to the answer."),
    )
    endpoint = "/answers"
    fields = (Field(name="answer", type="text"),)
    max_output_tokens: int | None = USUAL_TOKENS
    output_tokens_per_piece = 0
    max_pieces = 1

    def begin(self, options: Mapping[str, Any]) -> None:
        self.columns = (*self.columns, "temperature", "max_tokens")
        self.max_pieces = options["together"]
        self.packs = self.max_pieces > 1
        self.output_tokens_per_piece = options["each_tokens"]

    def render(self, record: Mapping[str, Any]) -> Prompt:
        return (str(record[self.columns[0]]),)

    def row_parameters(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        own = {name: record[name] for name in self.columns[1:] if record[name] is not None}
        cap = own.get("max_tokens", 1)
        if type(cap) is not int or cap < 1:
            raise RowError("wrong_cap", "max_tokens is not a whole number from 1 on")
        return own

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        del repair
        assert self.max_output_tokens is not None
        cap = self.max_output_tokens + len(prompts) * self.output_tokens_per_piece
        return {"texts": [text for (text,) in prompts], "temperature": 1, "max_tokens": cap}

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        answers = answer.get("answers")
        if not isinstance(answers, list) or len(answers) != count:
            return [Broken("missing", "the answer does not speak of all texts")] * count
        return [
            Done({"answer": one}) if isinstance(one, str) else Broken("no_text", "it is no text")
            for one in answers
        ]


KIND = Own()
