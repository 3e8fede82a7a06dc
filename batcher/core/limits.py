"""What a provider allows in one request. Planning keeps these; nothing is learned by failing.

Sources: OpenAI's API reference for embeddings (2,048 inputs and 300,000 tokens a request, 8,192
tokens an input). A chat request is bounded by the model's context window.
"""

from __future__ import annotations

from dataclasses import dataclass

from batcher.core.cost import Price
from batcher.core.kind import BoundKind, Endpoint, most_pieces

_MOST_PIECES = 2_048
_EMBEDDINGS_TOKENS = 300_000
_EMBEDDINGS_INPUT_TOKENS = 8_192
_DEFAULT_CONTEXT_TOKENS = 128_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Inputs per request, tokens per request, and tokens per input.

    ``fixed_tokens`` are those of a request that carries nothing yet; where requests carry one piece
    they are counted as that piece's, and are 0 here.
    """

    max_inputs: int
    max_request_tokens: int
    max_input_tokens: int
    fixed_tokens: int = 0


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
    most = most_pieces(bound)
    pieces = max_inputs or most or _MOST_PIECES
    if most is not None:
        pieces = min(pieces, most)
    if bound.endpoint == Endpoint.EMBEDDINGS:
        request = max_request_tokens or _EMBEDDINGS_TOKENS
        piece = max_input_tokens or _EMBEDDINGS_INPUT_TOKENS
    else:
        window = (context_tokens or _DEFAULT_CONTEXT_TOKENS) - (bound.max_output_tokens or 0)
        request = max(1, min(window, max_request_tokens or window))
        piece = max(1, min(request - fixed_tokens, max_input_tokens or window))
        request = request if bound.packs else piece
    return RequestLimits(
        max_inputs=pieces,
        max_request_tokens=request,
        max_input_tokens=piece,
        fixed_tokens=fixed_tokens,
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
