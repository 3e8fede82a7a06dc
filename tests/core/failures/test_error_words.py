"""What an error means by its words: no credit and rate limits, whatever their status."""

from __future__ import annotations

import pytest

from batcher.core.failures.reading import ProviderError
from batcher.core.failures.verdicts import (
    Backoff,
    Dead,
    Drop,
    PauseJob,
    Refusal,
    SharedPause,
    Verdict,
    judge,
)

NO_CREDIT = [
    (400, "invalid_request_error", "Your credit balance is too low to access the API."),
    (400, "Arrearage", "Access denied, please make sure your account is in good standing."),
    (401, "insufficient_quota", "You exceeded your current quota."),
    (403, "30001", "Sorry, your account balance is insufficient"),
    (403, "other", "Your team doesn't have any credits yet. You can purchase credits."),
    (412, "PRECONDITION_FAILED", "suspended, possibly due to reaching the monthly spending limit"),
    (429, "1113", "余额不足或无可用资源包,请充值。"),
    (429, "exceeded_current_quota_error", "Your account is suspended"),
    (429, "other", "Your team has used all available credits."),
]
TOO_MANY = [
    (400, "Throttling.RateQuota", "try again later"),
    (400, "", "Too many requests, please wait before trying again."),
    (403, "", "You have exceeded a secondary rate limit. Please wait a few minutes."),
    (500, "", "An error occurred (ThrottlingException): Too many tokens, please wait"),
    (503, "rate_limit_error", "slow"),
    (503, "RESOURCE_EXHAUSTED", "slow"),
]


def judged(
    status: int,
    code: str,
    message: str,
    *,
    asked: tuple[str, ...] = ("a text",),
    accepted: bool = True,
    optional: frozenset[str] = frozenset(),
) -> Verdict:
    error = ProviderError(status=status, code=code, type="", param=None, message=message)
    return judge(error, pieces=1, accepted=accepted, asked=asked, optional_parameters=optional)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(("status", "code", "message"), NO_CREDIT)
def test_without_credit_the_job_pauses(
    status: int, code: str, message: str, accepted: bool
) -> None:
    verdict = judged(status, code, message, accepted=accepted)
    assert isinstance(verdict, PauseJob)
    assert message in verdict.reason


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(("status", "code", "message"), TOO_MANY)
def test_a_rate_limit_is_one_whatever_its_status(
    status: int, code: str, message: str, accepted: bool
) -> None:
    assert isinstance(judged(status, code, message, accepted=accepted), SharedPause)


@pytest.mark.parametrize(
    "text", ["My credit balance is too low, why?", "I get a ThrottlingException: too many requests"]
)
def test_a_row_that_speaks_of_it_stops_nobody(text: str) -> None:
    message = f"invalid content in your input: {text}"
    assert isinstance(judged(400, "", message, asked=("You help.", text)), Dead)
    assert isinstance(judged(500, "", message, asked=("You help.", text)), Backoff)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This response_format type is unavailable now"),
        (400, "This model does not support response format `json_schema`."),
        (422, "Structured outputs are not supported for this model"),
        (400, "failed to parse grammar"),
        (500, "json_schema not implemented"),
    ],
)
def test_an_optional_parameter_is_left_out_however_it_is_called(status: int, message: str) -> None:
    optional = frozenset({"response_format"})
    assert judged(status, "", message, accepted=False, optional=optional) == Drop("response_format")
    quoting = judged(status, "", message, accepted=False, optional=optional, asked=(message,))
    assert not isinstance(quoting, Drop)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(
    ("code", "message", "unsigned"),
    [
        ("400", "API key not valid. Please pass a valid API key.", True),
        ("invalid_api_key", "no", True),
        ("", "API key expired. Please renew the API key.", True),
        ("", "Model Not Exist", False),
        ("invalid_model", "Invalid model: x", False),
        ("model_not_found", "no", False),
        ("", "No models loaded. Please load a model.", False),
        ("400", "User location is not supported for the API use.", False),
    ],
)
def test_what_a_400_says_of_all_requests_is_no_rows_fault(
    code: str, message: str, unsigned: bool, accepted: bool
) -> None:
    verdict = judged(400, code, message, accepted=accepted)
    assert isinstance(verdict, Refusal)
    assert (verdict.named, verdict.unsigned) == (True, unsigned)
    assert message in verdict.reason
    assert isinstance(judged(400, "", message, asked=(f"They say: {message}",)), Dead)
