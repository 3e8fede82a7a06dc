"""``rerank``: how relevant the text of each row is to a query, many rows a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.kinds import BaseKind, Broken, Done, Field, Invalid, Option, Outcome, Prompt
from batcher.kinds.texts import TEXT


class Rerank(BaseKind):
    """The kind ``rerank``, for servers with the endpoint of Cohere and Jina."""

    name = "rerank"
    summary = "How relevant each row's text is to a query."
    options = (
        TEXT,
        Option(name="query", help="What the texts are compared with."),
        Option(name="embeddings", type="flag", help="Keep the vector of each text, too."),
    )
    endpoint = "/rerank"
    fields: tuple[Field, ...] = (Field(name="score", type="float"),)
    packs = True
    max_pieces = 100

    def begin(self, options: Mapping[str, Any]) -> None:
        self.require(options, "text", "query")
        self.query: str = options["query"]
        self.fixed_texts = (self.query,)
        self.embeddings = bool(options["embeddings"])
        if self.embeddings:
            self.fields = (*self.fields, Field(name="embedding", type="vector"))

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        body: dict[str, Any] = {"query": self.query, "documents": [text for (text,) in prompts]}
        if self.embeddings:
            body["return_embeddings"] = True
        if repair is not None:  # the text had no score: ask again for the beginning of it
            body["max_tokens_per_doc"] = 512
        return body

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        found: dict[int, list[Mapping[str, Any]]] = {at: [] for at in range(count)}
        results = answer.get("results")
        for result in results if isinstance(results, list) else ():
            if isinstance(result, dict) and type(result.get("index")) is int:
                found.get(result["index"], []).append(result)
        return [self._outcome(results) for results in found.values()]

    def _outcome(self, results: Sequence[Mapping[str, Any]]) -> Outcome:
        if len(results) != 1:
            return Broken("no_score", f"the answer has {len(results)} scores for the row")
        score = results[0].get("relevance_score")
        if score is None:
            return Invalid("no_score", "the server gave the text no score", answer="null")
        if isinstance(score, bool) or not isinstance(score, int | float):
            return Broken("no_score", "the score is not a number")
        values: dict[str, Any] = {"score": score}
        if self.embeddings:
            values["embedding"] = results[0].get("embedding")
        return Done(values)


KIND = Rerank()
