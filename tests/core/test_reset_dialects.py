"""When a limit is reset, in every dialect in which providers tell it."""

from __future__ import annotations

import pytest

from batcher.core.observation import observation_from_headers

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
