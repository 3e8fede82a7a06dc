"""What a provider allows in one request. Planning keeps these; nothing is learned by failing.

Sources: OpenAI's API reference for embeddings (2,048 inputs and 300,000 tokens a request, 8,192
tokens an input). A chat request is bounded by the model's context window.
"""

from __future__ import annotations

from dataclasses import dataclass

from batcher.core.cost import Price
from batcher.core.kind import Endpoint

_DEFAULT_CONTEXT_TOKENS = 128_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Inputs per request, tokens per request, and tokens per input."""

    max_inputs: int
    max_request_tokens: int
    max_input_tokens: int


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
    endpoint: Endpoint,
    *,
    context_tokens: int | None = None,
    max_output_tokens: int | None = None,
    max_inputs: int | None = None,
    max_request_tokens: int | None = None,
    max_input_tokens: int | None = None,
) -> RequestLimits:
    """The limits of an endpoint; each may be set by hand for a server that states others."""
    if endpoint is Endpoint.EMBEDDINGS:
        return RequestLimits(
            max_inputs=max_inputs or 2_048,
            max_request_tokens=max_request_tokens or 300_000,
            max_input_tokens=max_input_tokens or 8_192,
        )
    window = (context_tokens or _DEFAULT_CONTEXT_TOKENS) - (max_output_tokens or 0)
    prompt = max(1, min(window, max_request_tokens or window, max_input_tokens or window))
    return RequestLimits(max_inputs=1, max_request_tokens=prompt, max_input_tokens=prompt)


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
