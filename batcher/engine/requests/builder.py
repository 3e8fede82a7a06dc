"""Request bodies, what they are charged with, and what they may cost at the worst."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from batcher.core.errors import KindFailed
from batcher.core.kind import BoundKind, Shape, has_free_output, shape_of
from batcher.core.limits import most_text_bytes, most_vector_bytes
from batcher.core.model import Doubt, Learned
from batcher.core.money.allowance import OutputAllowance, PromptAllowance
from batcher.core.money.prices import TIER_FACTORS, Price
from batcher.core.text import exactjson
from batcher.core.throttle.bucket import TokenDemand
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.shards.call import Call
from batcher.ports import Tokenizer

_CHARACTERS_PER_TOKEN = 4
_PROMPT_MARGIN_TOKENS = 16
_REPAIR_FRAME_TOKENS = 256
_OUTPUT_LIMITS = ("max_tokens", "max_completion_tokens")
_PROJECTS_OWN = ("auto", None)  # as the provider's project is set up: any tier may serve


class RequestBuilder:
    """How one job's calls become requests."""

    def __init__(
        self,
        *,
        bound: BoundKind,
        kind: str,
        model: str | None,
        params: Mapping[str, Any],
        price: Price | None,
        tier: str | None,
        tokenizer: Tokenizer,
        learned: Learned,
        charges_prompt_too: bool,
        most_answer_bytes: int | None = None,
        keys: IdempotencyKeys | None = None,
        cap: int | None = None,
        fixed_tokens: int = 0,
    ) -> None:
        """``kind`` is the kind's name; ``model`` is None where the URL names it.

        ``tier`` is the service tier asked for; ``charges_prompt_too`` is Azure's rule.
        ``most_answer_bytes`` is the user's own limit. ``keys`` are the idempotency keys; without
        them none is sent. ``cap`` limits answers that nothing else does. ``fixed_tokens`` are those
        of a request besides its pieces.
        """
        self._bound = bound
        self._shape = shape_of(bound.fields)
        self.kind = kind
        self._model = model
        self._params = params
        self._price = price
        self._tier = tier
        self._tokenizer = tokenizer
        self._charges_prompt_too = charges_prompt_too
        self._most_answer_bytes = most_answer_bytes
        self._cap = cap
        self.fixed_tokens = fixed_tokens
        self.keys = keys or IdempotencyKeys(None)
        self.learned = learned
        self.allowance = OutputAllowance()
        self.free_output = has_free_output(bound.endpoint)
        self.prompts = PromptAllowance(0 if self.free_output else _PROMPT_MARGIN_TOKENS)
        self._set_prices(bound, params)
        self._most_text_bytes = most_text_bytes(self.output_limit, params)

    def _set_prices(self, bound: BoundKind, params: Mapping[str, Any]) -> None:
        """What answers may cost: by the tier that serves, which may be another than was asked for.

        An answer that names no tier is taken for the dearer of the one asked for and the standard.
        """
        self._ceiling = None
        if self._price is None:
            return
        asked = self._tier if self._tier is not None else params.get("service_tier")
        possible = TIER_FACTORS if asked in _PROJECTS_OWN else (str(asked),)
        self._ceiling = self._price.ceiling(possible, any_step=bound.packs)
        named = self._price.at(str(asked))
        dearer = named.ceiling().cost(1, 1) > self._price.ceiling().cost(1, 1)
        self._unnamed_tier = named if dearer else self._price

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
        limit = output_limit(self._bound, self._params)
        return self._cap if limit is None else limit

    def body(self, call: Call) -> bytes:
        """The request's JSON, as the model is known to want it.

        Raises:
            KindFailed: the kind makes none.
        """
        try:
            body = self._bound.body(call.prompts(), repair=call.repair)
            return _encoded(self._as_wanted(body))
        except Exception as error:
            raise KindFailed.raised(self.kind, "body", error) from error

    def key(self, call: Call) -> str:
        """The call's idempotency key; empty where none is sent."""
        return self.keys.of(call, self.learned)

    def most_answer_bytes(self, call: Call) -> int:
        """How large the answer to a call may be, decompressed."""
        if self._most_answer_bytes is not None:
            return self._most_answer_bytes
        shape = self._shape
        vectors = 0
        if shape is not Shape.JSON:
            vectors = most_vector_bytes(len(call.pieces), self.learned.dimension)
        return vectors if shape is Shape.VECTOR else vectors + self._most_text_bytes

    def _as_wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body with the model, the user's parameters and what the provider taught."""
        if self._model is not None:
            body["model"] = self._model
        body.update(self._params)
        if self._tier is not None:
            body["service_tier"] = self._tier
        if self._cap is not None:
            body[_OUTPUT_LIMITS[0]] = self._cap
        for old, new in self.learned.renamed.items():
            if old in body:
                body[new] = body.pop(old)
        for name in self.learned.dropped:
            body.pop(name, None)
        return body

    def charge(self, call: Call) -> TokenDemand:
        """What the provider takes from the token limit when it admits the call.

        OpenAI: "the maximum of max_tokens and the estimated number of tokens based on the
        character count of your request". Azure: prompt and max_tokens. Where no limit of the
        output is sent: the prompt and the output that is usual.
        """
        limit = self.output_limit
        if limit is None:
            return TokenDemand(call.tokens + self.allowance.tokens)
        if limit == 0 or self._charges_prompt_too:
            return TokenDemand(call.tokens + limit)
        characters = sum(len(text) for prompt in call.prompts() for text in prompt)
        fixed = sum(map(len, self._bound.fixed_texts))
        return TokenDemand(max(limit, -(-(characters + fixed) // _CHARACTERS_PER_TOKEN)))

    def worst_case(self, prompt_tokens: int) -> int:
        """Picodollars that one piece may cost at the most (0 where no price is known).

        The dearest of what its request may become: its prompt written to the cache, the output as
        long as it may be, in the dearest tier that may serve it and the price step that it reaches.
        """
        if self._ceiling is None:
            return 0
        limit = self.output_limit
        output = limit if limit is not None else self.allowance.most
        return self._ceiling.cost(self.prompts.of(prompt_tokens + self.fixed_tokens), output)

    def worst_of(self, call: Call) -> int:
        """Picodollars that a call may cost at the most; a repair carries the answer to be mended.

        No text has more tokens than bytes.
        """
        planned = call.planned_tokens()
        if call.repair is None:
            return sum([self.worst_case(tokens) for tokens in planned])
        texts = (call.repair.answer, call.repair.message)
        more = sum([len(text.encode(errors="replace")) for text in texts]) + _REPAIR_FRAME_TOKENS
        return sum([self.worst_case(tokens + more) for tokens in planned])

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
            cost_picousd=(
                self.worst_of(call)
                if len(pieces) == len(call.pieces)
                else sum(self.worst_case(planned[piece]) for piece in pieces)
            ),
        )

    @property
    def priced(self) -> bool:
        """Whether it is known what an answer costs."""
        return self._price is not None

    def price(self, tier: object) -> Price | None:
        """The price of answers that name this tier as the one that served; None: not known."""
        if self._price is None:
            return None
        if isinstance(tier, str) and tier:
            return self._price.at(tier.strip().lower())
        return self._unnamed_tier

    def count(self, texts: Sequence[str]) -> int:
        """Tokens of texts, as we count them."""
        return sum(self._tokenizer.count(texts)) if texts else 0

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


def output_limit(bound: BoundKind, params: Mapping[str, Any]) -> int | None:
    """The limit of output tokens that the user or the kind gives, or None."""
    for name in _OUTPUT_LIMITS:
        limit = params.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool):
            return limit
    return bound.max_output_tokens


def _encoded(body: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return exactjson.dumps(body).encode()  # a parameter may be an integer of any size
