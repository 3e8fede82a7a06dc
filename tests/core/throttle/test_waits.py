"""How long a provider says to wait, and of which limit it speaks: every dialect that was met."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.reading import ProviderError, read_error
from batcher.core.failures.verdicts import PauseJob, SharedPause, Verdict, judge

WALL = 1_795_860_000.0  # 28 November 2026


def read(body: object, **headers: str) -> ProviderError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_error(429, named, json.dumps(body).encode(), wall=WALL)


def decide(error: ProviderError) -> Verdict:
    return judge(error, pieces=1)


def google(message: str, *, quota: str = "", delay: str | None = None) -> list[Any]:
    details: list[Any] = [{"@type": "type.googleapis.com/google.rpc.Help", "links": []}]
    if quota:
        kind = "type.googleapis.com/google.rpc.QuotaFailure"
        details.append({"@type": kind, "violations": [{"quotaMetric": "m", "quotaId": quota}]})
    if delay is not None:
        kind = "type.googleapis.com/google.rpc.RetryInfo"
        details.append({"@type": kind, "retryDelay": delay})
    error = {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}
    return [{"error": error}]


def openrouter(message: str, reset: float) -> dict[str, Any]:
    headers = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": f"{reset * 1000:.0f}"}
    return {"error": {"message": message, "code": 429, "metadata": {"headers": headers}}}


GROQ_DAY = (
    "Rate limit reached for model `m` in organization `o` on tokens per day (TPD): Limit 100000, "
    "Used 99500, Requested 1200. Please try again in 10m5.5s."
)
FOR_LONG = {
    "google, of a day": (google("Quota", quota="GenerateRequestsPerDay-FreeTier", delay="38s"), 38),
    "google, of nothing": (google("limit: 0\nPlease retry in 38.1s.", quota="PerMinute"), 38.1),
    "google, fractions": (google("limit: 0", delay="12.345s"), 12.345),
    "groq": (
        {"error": {"message": GROQ_DAY, "type": "tokens", "code": "rate_limit_exceeded"}},
        605.5,
    ),
    "openrouter": (openrouter("Rate limit exceeded: free-models-per-day", WALL + 7200), 7200),
    "openai": ({"error": {"message": "Rate limit ... on requests per day (RPD): Limit 200"}}, None),
    "mistral": ({"message": "Monthly limit reached", "type": "rate_limited", "code": "1300"}, None),
    "zero": ({"error": {"message": "Rate limit: Limit 0, Requested 1"}}, None),
}


@pytest.mark.parametrize(("body", "seconds"), FOR_LONG.values(), ids=FOR_LONG)
def test_a_limit_of_a_day_or_of_nothing_pauses_the_job_with_the_time(
    body: object, seconds: float | None
) -> None:
    verdict = decide(read(body))
    assert isinstance(verdict, PauseJob)
    assert verdict.wait_seconds == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        (f"{WALL + 90:.0f}", 90),
        (f"{(WALL + 90) * 1000:.0f}", 90),
        ("90", 90),
        ("soon", None),
        (f"{WALL - 5:.0f}", None),
        ("1e300", None),
    ],
)
@pytest.mark.parametrize("name", ["x_ratelimit_reset", "ratelimit_reset"])
def test_a_reset_header_in_seconds_ms_or_from_now_says_when(
    name: str, reset: str, seconds: float | None
) -> None:
    error = read({"error": {"message": "Daily limit"}}, **{name: reset})
    assert error.reset_after == seconds
    assert decide(error) == PauseJob("the provider asks for a longer pause: Daily limit", seconds)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (google("Quota exceeded, limit: 10. Please retry in 7.25s."), 7.25),
        (google("Quota exceeded", quota="PerMinutePerProject", delay="9s"), 9),
        ({"error": {"message": "Retry after 37 seconds.", "code": "429"}}, 37),
        ({"error": {"message": "Please retry after 1 second."}}, 1),
        ({"error": {"message": "retry in 250ms"}}, 0.25),
        ({"error": {"message": "Please try again in 8.64s"}}, None),
        ({"error": {"message": "carry in 7s"}}, None),
    ],
)
def test_a_limit_of_a_minute_is_waited_for_as_long_as_it_says(
    body: object, seconds: float | None
) -> None:
    assert decide(read(body)) == SharedPause(seconds)


def test_a_header_counts_more_than_words() -> None:
    assert decide(read(google("retry in 60s", delay="50s"), retry_after_ms="1500")) == SharedPause(
        1.5
    )
    assert decide(read(google("retry in 60s"), retry_after="2")) == SharedPause(2)


NAMES = """
error details violations quotaId retryDelay metadata headers X-RateLimit-Reset message code type
status param object
""".split()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    JSON,
    st.integers(300, 599),
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "location"]),
        st.text(max_size=12),
        max_size=4,
    ),
)
def test_nothing_that_is_said_raises(body: object, status: int, headers: dict[str, str]) -> None:
    raw = json.dumps(body).encode()
    error = read_error(status, headers, raw, wall=WALL)
    judge(error, pieces=1)
    for seconds in (error.retry_after, error.reset_after, error.said_wait):
        assert seconds is None or 0 <= seconds < 1e10
