"""How large an answer may be: what was asked for, written in the most wasteful way there is.

A ceiling, not an estimate: an answer beyond it is no answer to this request. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_BYTES = 2**28
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
    return min(MOST_BYTES, _BASE_BYTES + inputs * _INPUT_BYTES + numbers * _NUMBER_BYTES)


def most_text_bytes(output_tokens: int | None, parameters: Mapping[str, Any]) -> int:
    """For generated text; ``parameters`` are the request's: choices and logprobs take room."""
    choices = _count(parameters.get("n"), 1)
    each = _TOKEN_BYTES
    if parameters.get("logprobs"):
        each += _LOGPROB_BYTES * (1 + _count(parameters.get("top_logprobs"), 0))
    tokens = output_tokens or _MOST_TOKENS
    return min(MOST_BYTES, _BASE_BYTES + choices * tokens * each)


def _count(value: object, default: int) -> int:
    return value if isinstance(value, int) and value > 0 else default
