"""``rerank``: how relevant the text of each row is to a query, many rows a request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from batcher.kinds import BaseKind, Broken, Done, Field, Invalid, Option, Outcome, Prompt
from batcher.kinds.texts import TEXT

_TWICE = Broken("repeated", "the answer has two scores for the row")


class Rerank(BaseKind):
    """The kind ``rerank``, for servers with the endpoint of Cohere and Jina."""

    name = "rerank"
    summary = "How relevant each row's text is to a query."
    options = (TEXT, Option(name="query", help="What the texts are compared with."))
    endpoint = "/rerank"
    fields = (Field(name="score", type="float"),)
    packs = True
    max_pieces = 100

    def begin(self, options: Mapping[str, Any]) -> None:
        self.require(options, "text", "query")
        self.query: str = options["query"]
        self.fixed_texts = (self.query,)

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        return {"query": self.query, "documents": [text for (text,) in prompts]}

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        outcomes: list[Outcome] = [Broken("missing", "the answer has no score for the row")] * count
        results = answer.get("results")
        for result in results if isinstance(results, list) else ():
            index = result.get("index") if isinstance(result, dict) else None
            if type(index) is int and 0 <= index < count:
                twice = isinstance(outcomes[index], Done)
                outcomes[index] = _TWICE if twice else _read_score(result.get("relevance_score"))
        return outcomes


def _read_score(score: object) -> Outcome:
    if isinstance(score, bool) or not isinstance(score, int | float):
        return Broken("no_score", "the score is not a number")
    return Done(json.dumps({"score": score}).encode())


KIND = Rerank()
