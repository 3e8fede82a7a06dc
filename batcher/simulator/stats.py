"""What the provider saw: the truth against which a client's own books are held.

An input counts as served when the provider starts to work on it: after validation and
admission, before the latency is over. A client that goes away then is billed all the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from batcher.simulator.seen import HashSet


class Stats:
    """Counters of one provider since its start or the last reset."""

    __slots__ = (
        "_seen",
        "by_status",
        "by_tier",
        "cached_tokens",
        "completion_tokens",
        "faults",
        "first_request_at",
        "in_flight",
        "inputs_replayed",
        "inputs_served",
        "last_request_at",
        "max_in_flight",
        "prompt_tokens",
        "rate_limited",
        "reasoning_tokens",
        "requests",
        "requests_replayed",
        "requests_served",
        "requests_served_twice",
        "tokens_charged",
        "tokens_served_twice",
        "written_tokens",
    )

    def __init__(self) -> None:
        self.in_flight = 0
        self.reset()

    def __repr__(self) -> str:
        return (
            f"<Stats {self.requests} requests, {self.requests_served} served, "
            f"{self.rate_limited} rate limited, {self.inputs_served} inputs, "
            f"{self.inputs_served_twice} twice>"
        )

    def reset(self) -> None:
        """Forget everything but the requests in flight, which will end later."""
        self._seen = HashSet()
        self.requests = 0
        self.requests_served = 0
        self.requests_replayed = 0
        self.inputs_replayed = 0
        self.requests_served_twice = 0
        self.by_status: Counter[int] = Counter()
        self.rate_limited = 0
        self.faults: Counter[str] = Counter()
        self.inputs_served = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.cached_tokens = 0
        self.written_tokens = 0
        self.reasoning_tokens = 0
        self.by_tier: Counter[str] = Counter()
        self.tokens_served_twice = 0
        self.tokens_charged = 0
        self.max_in_flight = self.in_flight
        self.first_request_at: float | None = None
        self.last_request_at: float | None = None

    @property
    def distinct_inputs(self) -> int:
        """Inputs that were served, each counted once."""
        return len(self._seen)

    @property
    def inputs_served_twice(self) -> int:
        """Servings beyond the first, summed over the inputs."""
        return self.inputs_served - self.distinct_inputs

    def arrived(self, at: float) -> None:
        """Count a request that came in at `at`, in seconds since 1970."""
        self.requests += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if self.first_request_at is None:
            self.first_request_at = at
        self.last_request_at = at

    def replayed(self, inputs: int) -> None:
        """Count a request of so many inputs that was answered from what was kept of another."""
        self.requests_replayed += 1
        self.inputs_replayed += inputs

    def served(
        self, identities: Sequence[bytes], prompt_tokens: Sequence[int], completion_tokens: int
    ) -> None:
        """Count the work on a request: its inputs with the tokens of each, and its output."""
        again = [
            tokens
            for identity, tokens in zip(identities, prompt_tokens, strict=True)
            if not self._seen.add(identity)
        ]
        self.requests_served += 1
        self.inputs_served += len(identities)
        self.prompt_tokens += sum(prompt_tokens)
        self.completion_tokens += completion_tokens
        if again:
            self.requests_served_twice += 1
            self.tokens_served_twice += sum(again) + completion_tokens

    def billed(self, cached: int, written: int, reasoning: int, tier: str) -> None:
        """Count what a chat answer is billed for by kind of token, and the tier that served it."""
        self.cached_tokens += cached
        self.written_tokens += written
        self.reasoning_tokens += reasoning
        self.by_tier[tier] += 1

    def snapshot(self) -> dict[str, Any]:
        """Return every count, ready for JSON."""
        return {
            "requests": self.requests,
            "requests_served": self.requests_served,
            "requests_served_twice": self.requests_served_twice,
            "requests_replayed": self.requests_replayed,
            "inputs_replayed": self.inputs_replayed,
            "by_status": {str(status): n for status, n in sorted(self.by_status.items())},
            "rate_limited": self.rate_limited,
            "faults": dict(self.faults),
            "inputs_served": self.inputs_served,
            "inputs_served_twice": self.inputs_served_twice,
            "distinct_inputs": self.distinct_inputs,
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "cached": self.cached_tokens,
                "cache_written": self.written_tokens,
                "reasoning": self.reasoning_tokens,
            },
            "by_tier": dict(sorted(self.by_tier.items())),
            "tokens_served_twice": self.tokens_served_twice,
            "tokens_charged": self.tokens_charged,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "first_request_at": self.first_request_at,
            "last_request_at": self.last_request_at,
        }
