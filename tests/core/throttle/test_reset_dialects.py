"""When a limit is reset, in every dialect in which providers tell it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.observation import observation_from_headers

WALL = 1_796_000_000.0  # 2026-11-30T00:53:20Z


@pytest.mark.parametrize(
    ("text", "seconds", "step"),
    [
        ("6ms", 0.006, 0.0),
        ("1s", 1.0, 1.0),
        ("59.5s", 59.5, 0.0),
        ("1m2.5s", 62.5, 0.0),
        ("6m0s", 360.0, 1.0),
        ("2m59.56s", 179.56, 0.0),
        ("24h0m0s", 86_400.0, 1.0),
        ("1d2h", 93_600.0, 1.0),
        ("500us", 0.0005, 0.0),
        ("0s", 0.0, 0.0),
        ("7", 7.0, 1.0),
        ("7.25", 7.25, 0.0),
        ("1796000012", 12.0, 1.0),
        ("1796000012.5", 12.5, 0.0),
        ("1796000012345", 12.345, 0.0),
        ("1796000012000", 12.0, 1.0),
        ("2026-11-30T00:53:32Z", 12.0, 1.0),
        ("2026-11-30T00:53:32.250000+00:00", 12.25, 0.0),
        ("2026-11-30T00:53:10Z", 0.0, 1.0),
        ("Mon, 30 Nov 2026 00:53:32 GMT", 12.0, 1.0),
    ],
)
def test_resets_are_read(text: str, seconds: float, step: float) -> None:
    headers = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": text}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True, wall=WALL)
    assert seen.reset_requests == pytest.approx(seconds, abs=1e-6)
    assert seen.step == step


@pytest.mark.parametrize("text", ["", "soon", "-1", "nan", "inf", "1x", "m", "20:00"])
def test_what_cannot_be_read_is_ignored(text: str) -> None:
    headers = {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": text}
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True, wall=WALL)
    assert seen.reset_requests is None
    assert seen.remaining_requests == 5


def test_times_of_the_day_need_a_clock() -> None:
    headers = {"x-ratelimit-remaining-tokens": "5", "x-ratelimit-reset-tokens": "1796000012"}
    assert observation_from_headers(headers, sent_at=1.0, admitted=True).reset_tokens is None


def test_the_servers_clock_counts_where_ours_is_wrong() -> None:
    headers = {
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-tokens": "1796000012",
        "date": "Mon, 30 Nov 2026 00:53:20 GMT",
    }
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True, wall=WALL + 3600)
    assert seen.reset_tokens == 12
    near = observation_from_headers(headers, sent_at=1.0, admitted=True, wall=WALL + 0.5)
    assert near.reset_tokens == 11.5


@pytest.mark.parametrize(
    ("headers", "limit", "remaining", "reset"),
    [
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-11-30T00:53:32Z",
            },
            50,
            49,
            12,
        ),
        (
            {  # GitHub's, and OpenRouter's in milliseconds
                "x-ratelimit-limit": "5000",
                "x-ratelimit-remaining": "4999",
                "x-ratelimit-reset": "1796000600000",
            },
            5000,
            4999,
            600,
        ),
        (
            {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "5"},
            100,
            50,
            5,
        ),
        (
            {
                "ratelimit-limit": "100, 100;w=20",
                "ratelimit-remaining": "50",
                "ratelimit-reset": "5",
            },
            None,
            50,
            5,
        ),
        (
            {
                "ratelimit-limit": "100",
                "ratelimit-remaining": "50",
                "ratelimit-reset": "5",
                "ratelimit-policy": "100;w=20",
            },
            300,
            50,
            5,
        ),
        ({"ratelimit": "limit=100, remaining=50, reset=5"}, 100, 50, 5),
        (
            {"ratelimit": '"default";r=50;t=5', "ratelimit-policy": '"default";q=100;w=20'},
            300,
            50,
            5,
        ),
    ],
)
def test_each_family_of_headers_is_read(
    headers: dict[str, str], limit: float | None, remaining: float, reset: float
) -> None:
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True, wall=WALL)
    assert seen.limit_requests == limit
    assert seen.remaining_requests == remaining
    assert seen.reset_requests == pytest.approx(reset)


def test_openais_own_headers_go_before_a_gateways() -> None:
    headers = {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "599",
        "x-ratelimit-limit": "5",
        "x-ratelimit-remaining": "4",
    }
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert (seen.limit_requests, seen.remaining_requests) == (600, 599)


LITELLM = ("api_key", "user", "team", "team_member", "model_per_key", "model_per_team", "end_user")


@pytest.mark.parametrize("whose", LITELLM)
def test_whose_limit_it_is_may_stand_in_the_name(whose: str) -> None:
    headers = {
        f"x-ratelimit-{whose}-limit-requests": "120",
        f"x-ratelimit-{whose}-remaining-requests": "119",
        f"x-ratelimit-{whose}-limit-tokens": "9000",
        f"x-ratelimit-{whose}-remaining-tokens": "8000",
        f"x-ratelimit-{whose}-limit-max_parallel_requests": "3",
        f"x-ratelimit-{whose}-remaining-max_parallel_requests": "2",
    }
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert (seen.limit_requests, seen.remaining_requests) == (120, 119)
    assert (seen.limit_tokens, seen.remaining_tokens) == (9000, 8000)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["", *(f"{whose}-" for whose in LITELLM)]),
        st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)),
        min_size=1,
    ),
    st.sampled_from(["requests", "tokens"]),
)
def test_of_several_limits_the_lowest_counts_and_the_least_that_remains(
    told: dict[str, tuple[int, int]], what: str
) -> None:
    headers = {"X-LiteLLM-Version": "1"}
    for whose, (limit, left) in told.items():
        headers[f"X-RateLimit-{whose}Limit-{what}"] = str(limit)
        headers[f"X-RateLimit-{whose}Remaining-{what}"] = str(left)
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    limits = seen.limit_requests, seen.limit_tokens
    remaining = seen.remaining_requests, seen.remaining_tokens
    number = 0 if what == "requests" else 1
    assert limits[number] == min(limit for limit, _ in told.values())
    assert remaining[number] == min(left for _, left in told.values())
    assert (limits[1 - number], remaining[1 - number]) == (None, None)


def test_what_is_unlimited_hides_no_limit() -> None:
    headers = {
        "x-ratelimit-limit-tokens": "0",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-team-limit-tokens": "-1",
        "x-ratelimit-team-remaining-tokens": "-1",
        "x-ratelimit-api_key-limit-tokens": "500",
        "x-ratelimit-api_key-remaining-tokens": "400",
    }
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert (seen.limit_tokens, seen.remaining_tokens) == (500, 400)


def test_limits_of_prompts_or_of_completions_alone_are_not_taken_for_those_of_both() -> None:
    headers = {}
    for whose in ("model_per_project_itpm", "model_per_project_otpm"):
        headers[f"x-ratelimit-{whose}-limit-tokens"] = "500"
        headers[f"x-ratelimit-{whose}-remaining-tokens"] = "1"
    assert observation_from_headers(headers, sent_at=1.0, admitted=True).limit_tokens is None


@pytest.mark.parametrize("requests", ["req", "requests"])
def test_names_may_tell_the_minute(requests: str) -> None:
    headers = {
        f"x-ratelimit-limit-{requests}-minute": "60",
        f"x-ratelimit-remaining-{requests}-minute": "59",
        f"x-ratelimit-reset-{requests}-minute": "30s",
        "x-ratelimit-limit-tokens-minute": "50000",
        "x-ratelimit-remaining-tokens-minute": "47196",
        "x-ratelimit-limit-tokens-month": "4000000",
        "x-ratelimit-remaining-tokens-month": "3950246",
        f"x-ratelimit-limit-{requests}-day": "10",
        f"x-ratelimit-remaining-{requests}-day": "9",
    }
    seen = observation_from_headers(headers, sent_at=1.0, admitted=True)
    assert (seen.limit_requests, seen.remaining_requests, seen.reset_requests) == (60, 59, 30)
    assert (seen.limit_tokens, seen.remaining_tokens) == (50_000, 47_196)
