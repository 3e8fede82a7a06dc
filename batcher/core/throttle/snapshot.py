"""What is shown of a quota: the limits in force, and how much of each is in use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from batcher.core.throttle.bucket import FLOW_SECONDS, MINUTE, Bucket, Limits
from batcher.core.throttle.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is shown of a bucket: its rate, whether somebody told it, and the use at a time."""

    rate: float
    known: bool
    flow: float


def show_limits(
    now: float,
    at: float,
    paused_until: float,
    requests: Shown,
    tokens: Shown,
    *,
    by_chance: bool,
) -> Limits:
    """The limits in force and the use of them; the flows are as of ``at``."""
    fade = math.exp(-max(0.0, now - at) / FLOW_SECONDS)
    shares = [
        min(1.0, shown.flow * fade / (shown.rate * FLOW_SECONDS)) if shown.rate < math.inf else 0.0
        for shown in (requests, tokens)
    ]
    return Limits(
        requests_per_minute=requests.rate * MINUTE if requests.known else None,
        tokens_per_minute=tokens.rate * MINUTE if tokens.known else None,
        requests_share=shares[0],
        tokens_share=shares[1],
        paused_until=paused_until if now < paused_until else None,
        by_chance=by_chance,
    )


def shown_rate(bucket: Bucket, window: Window, factor: float) -> float:
    """The rate that is shown: a window's, once its length is sure."""
    return min(window.rate, bucket.ceiling) if window.sure else bucket.rate * factor
