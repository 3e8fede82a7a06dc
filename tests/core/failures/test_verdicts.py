"""The failure table, row by row, as values."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.failures.own_parameters import judge_own_parameters
from batcher.core.failures.reading import ProviderError
from batcher.core.failures.verdicts import (
    MAX_ATTEMPTS,
    Backoff,
    Dead,
    Drop,
    PauseJob,
    Refusal,
    Rename,
    SharedPause,
    Split,
    Verdict,
    after_attempts,
    after_refusals,
    backoff_seconds,
    judge,
    pause_seconds,
)


def error(status: int, code: str = "", message: str = "no", **more: Any) -> ProviderError:
    fields: dict[str, Any] = {"type": "", "param": None, **more}
    return ProviderError(status=status, code=code, message=message, **fields)


def decide(given: ProviderError, pieces: int = 1, **more: Any) -> Verdict:
    return judge(given, pieces=pieces, optional_parameters={"encoding_format"}, **more)


@pytest.mark.parametrize(
    "given",
    [
        error(429, "rate_limit_exceeded", "Request too large for gpt-4o on tokens per min"),
        error(429, "insufficient_quota", "Request too large"),
        error(429, "", "request TOO LARGE"),
        error(400, "max_tokens_per_request"),
        error(413),
        error(413, "", "Payload Too Large"),
        error(500, "500", "input is too large to process. increase the physical batch size"),
        error(503, "", "payload too large"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 9])
def test_too_large_is_split(given: ProviderError, pieces: int) -> None:
    assert decide(given, pieces) == Split("request_too_large", given.message)


@pytest.mark.parametrize(
    "given",
    [
        *(
            error(429, code)
            for code in (
                "insufficient_quota",
                "credit_balance_exhausted",
                "billing_not_active",
                "billing_hard_limit_reached",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
            )
        ),
        error(402),
        error(402, "invalid_request_error", "Insufficient Balance"),
        error(429, "insufficient_quota", retry_after=2.0),
        error(400, "billing_hard_limit_reached", param="input"),
        error(403, "insufficient_quota", should_retry=True),
    ],
)
@pytest.mark.parametrize("pieces", [1, 9])
def test_without_credit_the_job_pauses(given: ProviderError, pieces: int) -> None:
    verdict = decide(given, pieces)
    assert isinstance(verdict, PauseJob)
    assert verdict.wait_seconds is None


def test_a_limit_for_long_without_a_header_believes_the_message() -> None:
    daily = error(429, "", "on tokens per day (TPD)", said_wait=8.64)
    assert decide(daily) == PauseJob(f"the provider asks for a longer pause: {daily.message}", 8.64)
    both = error(429, "", "on tokens per day (TPD)", said_wait=8.64, retry_after=9.0)
    assert decide(both) == PauseJob(f"the provider asks for a longer pause: {both.message}", 9.0)
    assert decide(error(429, "", "try again in 8.64s", said_wait=8.64)) == SharedPause(None)
    reset = error(429, "", "free-models-per-day", reset_after=77.0)
    assert decide(reset) == PauseJob(
        "the provider asks for a longer pause: free-models-per-day", 77.0
    )


@pytest.mark.parametrize(
    "given",
    [
        error(429, "rate_limit_exceeded", "on requests per day (RPD): Limit 10000"),
        error(429, "rate_limit_exceeded", "Daily limit reached", retry_after=5.0),
        error(429, "rate_limit_exceeded", "tokens (TPD)"),
        error(429, "", retry_after=601.0),
        error(429, "RESOURCE_EXHAUSTED", "Quota exceeded, limit: 0", retry_after=38.0),
        error(429, "429", "Rate limit exceeded: free-models-per-day. Add 10 credits"),
        error(429, "429", "quota", quota="GenerateRequestsPerDayPerProjectPerModel"),
        error(429, "rate_limited", "monthly limit of tokens"),
    ],
)
def test_a_limit_for_long_pauses_the_job_once_halved(given: ProviderError) -> None:
    assert isinstance(decide(given, 1), PauseJob)
    assert isinstance(decide(given, 9), Split)
    halved = decide(given, 9, halved=True)
    assert isinstance(halved, PauseJob)
    assert halved.wait_seconds == given.retry_after


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (error(429, "slow_down"), SharedPause(None, slow_down=True)),
        (error(429, "rate_limit_exceeded", retry_after=0.2), SharedPause(0.2)),
        (error(429, "429", retry_after=600.0), SharedPause(600.0)),
        (error(429), SharedPause(None)),
        (error(429, "", "limit: 0.5 of 10"), SharedPause(None)),
        (error(429, "", "Limit 10000, used 9999", reset_after=3.0), SharedPause(None)),
        (error(429, "RateLimitReached", should_retry=False), SharedPause(None)),
    ],
)
@pytest.mark.parametrize("pieces", [1, 9])
def test_a_rate_limit_pauses_everyone(
    given: ProviderError, expected: SharedPause, pieces: int
) -> None:
    assert decide(given, pieces) == expected


NAMED = [
    error(401),
    error(401, should_retry=True),
    error(403, "permission_error"),
    error(403, "unsupported_country_region_territory"),
    error(404, "model_not_found", "{braces} in {message}"),
    error(404, "DeploymentNotFound"),
    error(404, "NotFoundError", "The model does not exist", type="not_found_error"),
    error(407),
    error(410),
    error(302, location="https://example.com/v1"),
    error(400, "invalid_value", param="temperature"),
    error(400, "", param="model"),
    error(422, "", param="prompt_cache_key"),
    error(400, "unsupported_value", param="temperature", should_retry=True),
    error(400, "unsupported_parameter", param=None),
    error(400, "unsupported_parameter", param="messages"),
    error(400, "", "a row of the maximum context length", param="temperature"),
    error(400, "", param="input_type"),
    error(501, "not_supported_error", "started without embeddings"),
]
UNNAMED = [
    *(error(status) for status in (300, 302, 403, 404, 405, 406, 418, 423, 451)),
    error(403, "403", "Attention: you have been blocked"),
    error(404, "404"),
]


@pytest.mark.parametrize("given", [*NAMED, *UNNAMED])
@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("pieces", [1, 9])
def test_a_status_that_refuses_may_be_everybodys_or_the_requests_own(
    given: ProviderError, accepted: bool, pieces: int
) -> None:
    verdict = decide(given, pieces, accepted=accepted)
    assert isinstance(verdict, Refusal)
    assert given.location in verdict.reason
    assert given.message in verdict.reason
    assert verdict.code == (given.code or f"http_{given.status}")
    assert given.message in verdict.message
    assert verdict.named == (given in NAMED)
    assert verdict.unsigned == (given.status == 401)


@pytest.mark.parametrize("status", [421, 424, 425, 498, 499])
def test_what_a_busy_server_answers_may_pass_until_others_succeed(status: int) -> None:
    assert isinstance(decide(error(status)), Backoff)
    assert isinstance(decide(error(status), accepted=True), Refusal)


@pytest.mark.parametrize("status", [400, 403, 451])
@pytest.mark.parametrize("code", ["content_filter", "content_policy_violation", "moderation"])
def test_a_filter_refuses_the_row_whatever_the_status(status: int, code: str) -> None:
    assert decide(error(status, code)) == Dead(code, "no")
    assert decide(error(status, code), 9) == Split(code, "no")


@pytest.mark.parametrize(
    ("refusals", "pieces", "halved", "expected"),
    [
        (1, 1, False, None),
        (2, 1, True, None),
        (3, 1, False, Dead("c", "m")),
        (1, 9, False, None),
        (2, 9, False, Split("c", "m")),
        (1, 9, True, Split("c", "m")),
    ],
)
def test_after_refusals(
    refusals: int, pieces: int, halved: bool, expected: Dead | Split | None
) -> None:
    refusal = Refusal("c", "m", "r", "403 c")
    verdict = after_refusals(refusals, pieces=pieces, halved=halved, refusal=refusal)
    assert verdict == expected


UNSUPPORTED = "'max_tokens' is not supported. Use 'max_completion_tokens' instead."


@pytest.mark.parametrize(
    "given",
    [
        error(400, "unsupported_parameter", UNSUPPORTED, param="max_tokens"),
        error(400, "unsupported_parameter", "Unsupported parameter", param="max_tokens"),
        error(400, "invalid_request_error", UNSUPPORTED, param="max_tokens"),
        error(422, "", UNSUPPORTED),
    ],
)
def test_max_tokens_is_renamed_once(given: ProviderError) -> None:
    assert decide(given) == Rename("max_tokens", "max_completion_tokens")
    assert not isinstance(decide(given, renamed={"max_tokens"}), Rename)


@pytest.mark.parametrize(
    "given",
    [
        error(400, "", param="encoding_format"),
        error(422, "unsupported_parameter", param="encoding_format"),
        error(400, "", "unknown field encoding_format"),
    ],
)
def test_an_optional_parameter_is_dropped_once(given: ProviderError) -> None:
    assert decide(given, 9) == Drop("encoding_format")
    assert not isinstance(judge(given, pieces=9), Drop)


@pytest.mark.parametrize("code", ["", "unsupported_value", "invalid_value"])
@pytest.mark.parametrize("param", ["temperature", "logit_bias.5", "stop[1]"])
def test_a_parameter_of_the_rows_own_is_the_rows_own_fault(code: str, param: str) -> None:
    given = error(400, code, param=param)
    own = {"temperature", "logit_bias", "stop", "max_tokens"}
    assert isinstance(judge_own_parameters(given, own, pieces=1, renamed=set()), Dead)
    assert isinstance(judge_own_parameters(given, own, pieces=2, renamed=set()), Split)
    assert judge_own_parameters(given, {"top_p"}, pieces=1, renamed=set()) is None
    assert isinstance(judge(given, pieces=1), Refusal)


def test_a_cap_of_the_rows_own_that_is_called_otherwise_is_no_fault_of_theirs() -> None:
    given = error(400, "unsupported_parameter", UNSUPPORTED, param="max_tokens")
    assert judge_own_parameters(given, {"max_tokens"}, pieces=1, renamed=set()) is None
    again = judge_own_parameters(given, {"max_tokens"}, pieces=1, renamed={"max_tokens"})
    assert isinstance(again, Dead)


@pytest.mark.parametrize("text", ["encoding_format", UNSUPPORTED])
def test_once_requests_succeed_a_message_names_no_parameter(text: str) -> None:
    quoted = error(422, "", f"Invalid input: {text}")
    assert isinstance(decide(quoted, 1, accepted=True), Dead)
    named = error(400, "", param="encoding_format")
    assert decide(named, 1, accepted=True) == Drop("encoding_format")


@pytest.mark.parametrize("text", ["encoding_format", UNSUPPORTED])
def test_an_error_of_the_input_names_no_parameter(text: str) -> None:
    quoted = error(400, "invalid_value", f"Invalid value: {text}", param="input")
    assert isinstance(decide(quoted, 9), Split)


@pytest.mark.parametrize(
    "given",
    [
        error(400, "invalid_value", param="input"),
        error(400, "", param="input[3]"),
        error(400, "", param="messages[0].content"),
        error(400, "", param="messages.0.content"),
        error(422, "422"),
        error(400, "context_length_exceeded", param="max_tokens"),
        error(400, "content_filter", param="prompt"),
        error(400, "string_above_max_length", param="whatever"),
        error(400, "BadRequestError", "maximum context length is 8", param="input_tokens"),
        error(400, "BadRequestError", "maximum context length is 8", param="max_tokens"),
        error(400, "BadRequestError", f"{UNSUPPORTED} Maximum context length is 8", param=None),
        error(400, "BadRequestError", param="input_text"),
    ],
)
def test_a_bad_row_is_searched_for_and_buried(given: ProviderError) -> None:
    code = given.code or "invalid_request"
    assert decide(given, 9) == Split(code, given.message)
    assert decide(given, 1) == Dead(code, given.message)


@pytest.mark.parametrize("status", [408, 409, 500, 501, 502, 503, 504, 520, 529, 599])
def test_what_may_pass_is_backed_off(status: int) -> None:
    assert decide(error(status)) == Backoff(f"http_{status}", "no")
    assert decide(error(status, "x"), 9) == Backoff("x", "no")
    assert decide(error(status, retry_after=3.0)) == Backoff(f"http_{status}", "no", wait_seconds=3)
    assert decide(error(status, retry_after=9e9)) == Backoff(
        f"http_{status}", "no", wait_seconds=60
    )
    assert decide(error(status, should_retry=True)) == Backoff(f"http_{status}", "no")
    assert decide(error(status, should_retry=False)) == Backoff(f"http_{status}", "no", final=True)


@pytest.mark.parametrize(
    ("attempts", "others", "final", "given_up"),
    [
        (1, True, False, False),
        (MAX_ATTEMPTS - 1, True, False, False),
        (MAX_ATTEMPTS, True, False, True),
        (MAX_ATTEMPTS + 9, True, False, True),
        (MAX_ATTEMPTS, False, False, False),
        (99, False, False, False),
        (1, True, True, True),
        (1, False, True, False),
    ],
)
def test_after_attempts(attempts: int, others: bool, final: bool, given_up: bool) -> None:
    for pieces, expected in ((1, Dead("c", "m")), (2, Split("c", "m"))):
        verdict = after_attempts(
            attempts, pieces=pieces, others_succeed=others, final=final, code="c", message="m"
        )
        assert verdict == (expected if given_up else None)


@given(st.integers(1, 10_000), st.integers())
def test_backoff_is_bounded(attempt: int, seed: int) -> None:
    seconds = backoff_seconds(attempt, Random(seed))
    assert 0 <= seconds <= min(60.0, 0.5 * 2 ** min(attempt - 1, 20))


def test_backoff_doubles_to_a_minute() -> None:
    class Most:
        def uniform(self, a: float, b: float) -> float:
            return b

    ceilings = [backoff_seconds(attempt, Most()) for attempt in range(1, 10)]
    assert ceilings == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


@given(st.integers(1, 40), st.integers(0, 1000))
def test_pauses_without_a_time_find_an_edge_soon_after_it(pauses: int, seed: int) -> None:
    chance = Random(seed)
    before = sum(pause_seconds(number, chance) for number in range(1, pauses))
    next_one = pause_seconds(pauses, chance)
    assert 0.2 <= next_one <= 30
    assert next_one <= 0.5 + 0.7 * before


ERRORS = st.builds(
    ProviderError,
    status=st.integers(100, 599).filter(lambda status: not 200 <= status < 300),
    code=st.sampled_from(
        ["", "x", "unsupported_x", "insufficient_quota", "context_length_exceeded"]
    )
    | st.text(max_size=20),
    type=st.text(max_size=5),
    param=st.none() | st.sampled_from(["input", "max_tokens"]) | st.text(max_size=20),
    message=st.text(max_size=500),
    retry_after=st.none() | st.floats(0, 1e9),
    should_retry=st.none() | st.booleans(),
)


@given(
    ERRORS,
    st.integers(1, 3000),
    st.booleans(),
    st.booleans(),
    st.sets(st.sampled_from(["encoding_format", "max_tokens"])),
)
def test_judge_never_raises_and_never_waits_for_what_it_must_not(
    given: ProviderError, pieces: int, halved: bool, accepted: bool, renamed: set[str]
) -> None:
    verdict = decide(given, pieces, halved=halved, accepted=accepted, renamed=renamed)
    if given.status == 429:
        assert isinstance(verdict, SharedPause | PauseJob | Split)
    if isinstance(verdict, Dead):
        assert pieces == 1
    if isinstance(verdict, SharedPause) and verdict.wait_seconds is not None:
        assert verdict.wait_seconds <= 600
    if isinstance(verdict, Backoff):
        passing = (408, 409, 421, 424, 425, 498, 499)
        assert given.status >= 500 or given.status in passing or given.status < 200
