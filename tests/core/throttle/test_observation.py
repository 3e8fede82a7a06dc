"""What is read of the rate limit headers."""

from __future__ import annotations

import pytest

from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.observation import Observation, observation_from_headers
from batcher.core.throttle.quota import QuotaState
from tests.core.throttle.quota_steps import START


@pytest.mark.parametrize("bad", ["", "many", "nan", "inf", "-1", "1e999", "12;w=60"])
def test_malformed_headers_are_ignored(bad: str) -> None:
    names = ("limit-requests", "limit-tokens", "remaining-requests", "remaining-tokens")
    headers = {f"x-ratelimit-{name}": bad for name in names}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert seen == Observation(sent_at=1.0, admitted=True)


def test_headers_are_read() -> None:
    seen = observation_from_headers(
        {
            "x-ratelimit-limit-requests": "600",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-limit-tokens": " 100000.0 ",
            "x-ratelimit-remaining-tokens": "99000",
        },
        sent_at=1.0,
        admitted=False,
        used_tokens=3,
    )
    assert seen == Observation(
        sent_at=1.0,
        admitted=False,
        limit_requests=600,
        remaining_requests=0,
        limit_tokens=100_000,
        remaining_tokens=99_000,
        used_tokens=3,
    )


def test_a_limit_of_zero_is_no_limit() -> None:
    headers = {"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert seen.limit_requests is None
    state = QuotaState()
    (ticket,), _ = state.reserve(START, [TokenDemand(1)])
    state.settle(START, ticket, seen)
    assert state.reserve(START, [TokenDemand(1)] * 50)[1] is None
