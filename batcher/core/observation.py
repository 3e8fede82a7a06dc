"""What one answer says of the limits, read from its headers.

Decides which figures can be believed, not what follows from them (:mod:`batcher.core.quota`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

LEAST_LIMIT = 0.001
"""The least figure a minute that is taken for a limit."""


class Observation(NamedTuple):
    """What one answer said of the limits; None where it said nothing.

    A tuple, since one is made for every answer, and a frozen dataclass takes four times as long.

    ``sent_at`` is when the request was really sent (monotonic); ``admitted`` is False for a 429.
    Limits are per minute. ``used_tokens`` is the usage in the answer's body, prompt and completion
    together.
    """

    sent_at: float
    admitted: bool
    limit_requests: float | None = None
    limit_tokens: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None
    used_tokens: int | None = None


def observation_from_headers(
    headers: Mapping[str, str],
    *,
    sent_at: float,
    admitted: bool,
    used_tokens: int | None = None,
) -> Observation:
    """Read ``x-ratelimit-*``; what is malformed or impossible is ignored, as if it were absent.

    A limit of 0 or less is no limit (gateways write -1 for "unlimited"), and then what remains of
    it means nothing either. ``headers`` must find lower-case names.
    """
    limit_requests = _number(headers, "x-ratelimit-limit-requests")
    limit_tokens = _number(headers, "x-ratelimit-limit-tokens")
    remaining_requests = _number(headers, "x-ratelimit-remaining-requests")
    remaining_tokens = _number(headers, "x-ratelimit-remaining-tokens")
    return Observation(
        sent_at=sent_at,
        admitted=admitted,
        limit_requests=limit_requests if is_limit(limit_requests or 0) else None,
        limit_tokens=limit_tokens if is_limit(limit_tokens or 0) else None,
        remaining_requests=remaining_requests,
        remaining_tokens=remaining_tokens,
        used_tokens=used_tokens,
    )


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < math.inf else None


def is_limit(per_minute: float) -> bool:
    """Whether a figure can be a limit: finite, and enough for one unit within some hours."""
    return LEAST_LIMIT <= per_minute < math.inf
