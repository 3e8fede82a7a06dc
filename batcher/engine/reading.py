"""What every good answer holds besides its results: what it cost, and vectors of one length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batcher.core.kind import Broken, Done, Outcome
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


def check_dimension(outcomes: list[Outcome], requests: Requests) -> list[Outcome]:
    """A vector of another length than the job's is no result; the first answer sets the length."""
    dimension = requests.learned.dimension
    lengths = [len(outcome.value) for outcome in outcomes if isinstance(outcome, Done)]
    if dimension is None and lengths:
        dimension = max(set(lengths), key=lengths.count) // 4
        requests.learn_dimension(dimension)
    if dimension is None or lengths.count(4 * dimension) == len(outcomes):
        return outcomes
    wrong = Broken("wrong_dimension", f"the vector has not {dimension} dimensions as others do")
    return [
        wrong if isinstance(outcome, Done) and len(outcome.value) != 4 * dimension else outcome
        for outcome in outcomes
    ]


def _whole(value: object) -> int | None:
    """A whole number that can be one of tokens, or None (some servers write -1 as unsigned)."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MOST_TOKENS else None
