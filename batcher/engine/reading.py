"""What every good answer holds besides its results: what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batcher.core.model import Usage
from batcher.engine.requests import Requests
from batcher.engine.shard import Call

_MOST_TOKENS = 10**9


def read_usage(answer: Mapping[str, Any], call: Call, requests: Requests) -> Usage:
    """What the answer says it cost; counted by us where it says nothing."""
    usage = answer.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    prompt = _whole(usage.get("prompt_tokens"))
    total = _whole(usage.get("total_tokens"))
    completion = _whole(usage.get("completion_tokens"))
    if prompt is None:
        prompt = call.tokens
    if completion is None:
        completion = max(0, total - prompt) if total is not None else 0
    details = usage.get("prompt_tokens_details")
    cached = _whole(details.get("cached_tokens")) if isinstance(details, dict) else None
    if completion:
        requests.allowance.observe(completion)
    return Usage(
        requests=1,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_picousd=requests.cost(prompt, completion, cached or 0),
    )


def _whole(value: object) -> int | None:
    """A whole number that can be one of tokens, or None (some servers write -1 as unsigned)."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST_TOKENS else None
