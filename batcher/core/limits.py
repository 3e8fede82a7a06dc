"""What a provider allows in one request, and how large an answer to it can be.

Planning keeps these limits; nothing is learned by failing. The ceiling of an answer is no estimate:
what was asked for, written in the most wasteful way there is. An answer beyond it is no answer.

Sources: OpenAI's API reference for embeddings (2,048 inputs and 300,000 tokens a request, 8,192
tokens an input). A chat request is bounded by the model's context window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.kind import BoundKind, Endpoint
from batcher.core.kind_optional import most_pieces, output_cap, output_growth
from batcher.core.money.prices import Price

_MOST_PIECES = 2_048
_EMBEDDINGS_TOKENS = 300_000
_EMBEDDINGS_INPUT_TOKENS = 8_192
_DEFAULT_CONTEXT_TOKENS = 128_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Inputs per request, tokens per request, and tokens per input.

    ``fixed_tokens`` are those of a request that carries nothing yet; where requests carry one piece
    they are counted as that piece's, and are 0 here. ``output_tokens_per_piece`` is what each piece
    may add to the answer, which takes room as well. ``context_tokens`` is the model's window, None
    where it is not known; ``usual_output_tokens`` is what was left of it for the answer.
    """

    max_inputs: int
    max_request_tokens: int
    max_input_tokens: int
    fixed_tokens: int = 0
    output_tokens_per_piece: int = 0
    context_tokens: int | None = None
    usual_output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardLimits:
    """How much is planned, leased and kept in memory together."""

    max_requests: int = 256
    max_pieces: int = 2_048
    max_characters: int = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A model's price and context window in tokens; None where it is not known."""

    price: Price | None = None
    context_tokens: int | None = None


def request_limits(
    bound: BoundKind,
    *,
    fixed_tokens: int = 0,
    context_tokens: int | None = None,
    max_inputs: int | None = None,
    max_request_tokens: int | None = None,
    max_input_tokens: int | None = None,
) -> RequestLimits:
    """The limits of a kind's requests; each may be set by hand for a server that states others.

    ``fixed_tokens`` are those that a request of several pieces carries once.
    """
    most, growth = most_pieces(bound), output_growth(bound)
    pieces = max_inputs or most or _MOST_PIECES
    if most is not None:
        pieces = min(pieces, most)
    if bound.endpoint == Endpoint.EMBEDDINGS:
        request = max_request_tokens or _EMBEDDINGS_TOKENS
        piece = max_input_tokens or _EMBEDDINGS_INPUT_TOKENS
    else:
        window = (context_tokens or _DEFAULT_CONTEXT_TOKENS) - (bound.max_output_tokens or 0)
        request = max(1, min(window, max_request_tokens or window))
        alone = request - fixed_tokens - growth
        piece = max(1, min(alone, max_input_tokens or window))
        request = request if bound.packs else piece
    return RequestLimits(
        max_inputs=pieces,
        max_request_tokens=request,
        max_input_tokens=piece,
        fixed_tokens=fixed_tokens,
        output_tokens_per_piece=growth,
        context_tokens=context_tokens,
        usual_output_tokens=output_cap(bound, 1) or 0,
    )


def model_family(model: str) -> str:
    """The model's name without a dated suffix: what shares one rate limit.

    ``gpt-4o-2024-08-06`` and ``gpt-4o`` are one family; so are ``gpt-4-0613`` and ``gpt-4``.
    """
    parts = model.split("-")
    if len(parts) > 3 and all(part.isdigit() for part in parts[-3:]) and len(parts[-3]) == 4:
        return "-".join(parts[:-3])
    if len(parts) > 1 and parts[-1].isdigit() and len(parts[-1]) == 4:
        return "-".join(parts[:-1])
    return model


MOST_ANSWER_BYTES = 2**28
"""No answer takes more, whatever was asked for."""
_BASE_BYTES = 2**23
"""What an answer may hold besides: reasoning, citations, a picture, filters' verdicts."""
_NUMBER_BYTES = 40
"""A number of a vector as indented JSON with all of its digits."""
_MOST_DIMENSIONS = 8_192
_INPUT_BYTES = 1_024
_TOKEN_BYTES = 128
"""A token as JSON, each of its characters escaped, and once more as reasoning."""
_LOGPROB_BYTES = 512
"""One token with its logprob and its bytes as numbers, indented."""
_MOST_TOKENS = 131_072


def most_vector_bytes(inputs: int, dimensions: int | None) -> int:
    """For vectors of so many inputs; ``dimensions`` is None where their length is not known."""
    numbers = inputs * (dimensions or _MOST_DIMENSIONS)
    return min(MOST_ANSWER_BYTES, _BASE_BYTES + inputs * _INPUT_BYTES + numbers * _NUMBER_BYTES)


def most_text_bytes(output_tokens: int | None, parameters: Mapping[str, Any]) -> int:
    """For generated text; ``parameters`` are the request's: choices and logprobs take room."""
    choices = _count(parameters.get("n"), 1)
    each = _TOKEN_BYTES
    if parameters.get("logprobs"):
        each += _LOGPROB_BYTES * (1 + _count(parameters.get("top_logprobs"), 0))
    tokens = output_tokens or _MOST_TOKENS
    return min(MOST_ANSWER_BYTES, _BASE_BYTES + choices * tokens * each)


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default
