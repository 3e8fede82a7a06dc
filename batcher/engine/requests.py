"""Request bodies, what they are charged with, and what they may cost at the worst."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import orjson

from batcher.core.allowance import OutputAllowance
from batcher.core.answersize import most_text_bytes, most_vector_bytes
from batcher.core.bucket import Cost
from batcher.core.cost import Price
from batcher.core.errors import KindFailed
from batcher.core.kind import BoundKind, Shape
from batcher.core.model import Doubt, Learned
from batcher.engine.keys import Keys
from batcher.engine.shard import Call

_CHARACTERS_PER_TOKEN = 4
_PROMPT_MARGIN_TOKENS = 16
_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")


class Requests:
    """How one job's calls become requests."""

    def __init__(
        self,
        *,
        bound: BoundKind,
        kind: str,
        model: str | None,
        params: Mapping[str, Any],
        price: Price | None,
        learned: Learned,
        charges_prompt_too: bool,
        most_answer_bytes: int | None = None,
        keys: Keys | None = None,
    ) -> None:
        """``kind`` is the kind's name; ``model`` is None where the URL names it.

        ``charges_prompt_too`` is Azure's rule. ``most_answer_bytes`` is the user's own limit.
        ``keys`` are the idempotency keys; without them none is sent.
        """
        self._bound = bound
        self.kind = kind
        self._model = model
        self._params = params
        self._price = price
        self._charges_prompt_too = charges_prompt_too
        self._most_answer_bytes = most_answer_bytes
        self.keys = keys or Keys(None)
        self.learned = learned
        self.allowance = OutputAllowance()
        self._most_text_bytes = most_text_bytes(self.output_limit, params)

    @property
    def path(self) -> str:
        """Where the requests go, below the base URL."""
        return str(self._bound.endpoint)

    @property
    def optional_parameters(self) -> frozenset[str]:
        """Body parameters that may be left out where a server refuses them."""
        return self._bound.optional_parameters

    @property
    def output_limit(self) -> int | None:
        """The limit of output tokens that the body sends, or None."""
        for name in _OUTPUT_LIMITS:
            limit = self._params.get(name)
            if isinstance(limit, int) and not isinstance(limit, bool):
                return limit
        return self._bound.max_output_tokens

    def body(self, call: Call) -> bytes:
        """The request's JSON, as the model is known to want it.

        Raises:
            KindFailed: the kind makes none.
        """
        prompts = call.shard.plan.prompts
        try:
            body = self._bound.body([prompts[piece] for piece in call.pieces], repair=call.repair)
            return orjson.dumps(self._as_wanted(body))
        except Exception as error:
            raise KindFailed.raised(self.kind, "body", error) from error

    def key(self, call: Call) -> str:
        """The call's idempotency key; empty where none is sent."""
        return self.keys.of(call, self.learned)

    def most_answer_bytes(self, call: Call) -> int:
        """How large the answer to a call may be, decompressed."""
        if self._most_answer_bytes is not None:
            return self._most_answer_bytes
        if self._bound.shape is Shape.VECTOR:
            return most_vector_bytes(len(call.pieces), self.learned.dimension)
        return self._most_text_bytes

    def _as_wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the model, the user's parameters and what the provider taught."""
        if self._model is not None:
            body["model"] = self._model
        body.update(self._params)
        for old, new in self.learned.renamed.items():
            if old in body:
                body[new] = body.pop(old)
        for name in self.learned.dropped:
            body.pop(name, None)
        return body

    def charge(self, call: Call) -> Cost:
        """What the provider takes from the token limit when it admits the call.

        OpenAI: "the maximum of max_tokens and the estimated number of tokens based on the
        character count of your request". Azure: prompt and max_tokens. Where no limit of the
        output is sent: the prompt and the output that is usual.
        """
        limit = self.output_limit
        if limit is None:
            return Cost(call.tokens + self.allowance.tokens)
        if limit == 0 or self._charges_prompt_too:
            return Cost(call.tokens + limit)
        prompts = call.shard.plan.prompts
        characters = sum(len(text) for piece in call.pieces for text in prompts[piece])
        fixed = sum(map(len, self._bound.fixed_texts))
        return Cost(max(limit, -(-(characters + fixed) // _CHARACTERS_PER_TOKEN)))

    def worst_case(self, prompt_tokens: int) -> int:
        """Picodollars that one piece may cost at the most (0 where no price is known)."""
        if self._price is None:
            return 0
        limit = self.output_limit
        output = limit if limit is not None else self.allowance.most
        margin = _PROMPT_MARGIN_TOKENS if output else 0
        return self._price.cost(prompt_tokens + margin, output)

    def worst_tokens(self, call: Call) -> int:
        """Tokens that the call may be billed for at the most."""
        limit = self.output_limit
        output = limit if limit is not None else self.allowance.most
        return call.tokens + output * (len(call.pieces) if output else 1)

    def doubt(self, call: Call, pieces: tuple[int, ...]) -> Doubt:
        """What the call may have cost at the most, these of its pieces being in doubt."""
        planned = call.shard.plan.tokens
        return Doubt(
            requests=1,
            pieces=len(pieces),
            tokens=self.worst_tokens(call),
            cost_picousd=sum(self.worst_case(planned[piece]) for piece in pieces),
        )

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int) -> int:
        """Picodollars of an answer (0 where no price is known)."""
        if self._price is None:
            return 0
        return self._price.cost(prompt_tokens, completion_tokens, cached_tokens)

    def rename(self, old: str, new: str) -> bool:
        """Learn another name for a parameter; False where that was known already."""
        if self.learned.renamed.get(old) == new:
            return False
        renamed = {**self.learned.renamed, old: new}
        self.learned = dataclasses.replace(self.learned, renamed=renamed)
        return True

    def drop(self, name: str) -> bool:
        """Learn to leave a parameter out; False where that was known already."""
        if name in self.learned.dropped:
            return False
        self.learned = dataclasses.replace(self.learned, dropped=self.learned.dropped | {name})
        return True

    def learn_dimension(self, dimension: int) -> None:
        """Learn the length of the job's vectors."""
        self.learned = dataclasses.replace(self.learned, dimension=dimension)
