"""What an error means by its words: no credit and rate limits, whatever their status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    (400, "budget_exceeded", "Your AI usage allowance has been reached."),
    (400, "400", "Budget has been exceeded! Current cost: 76.16, Max budget: 10.0"),
    (400, "auth_error", "ExceededBudget: End User=someone over budget. Spend=0.001, Budget=0.0001"),
    (403, "403", "Key limit exceeded (monthly limit). Manage it on the page of keys"),
    (403, "AccountOverdueError", "your account has an overdue balance."),
    (403, "insufficient_user_quota", "no"),
    (403, "token_quota_reached", "the token quota for plan_lite has been reached for the month"),
    (412, "412", "Usage limits exceeded for the requested virtual key/model"),
    (429, "budget_exceeded", "LiteLLM User: engineer-1, exceeded budget for model=x"),
]
NOT_CREDIT = [
    (400, "", "max_tokens must be greater than thinking.budget_tokens"),
    (400, "", "the thinking budget is exceeded"),
    (400, "", "quota of images in one message exceeded"),
    (400, "", "Cannot load the balance sheet"),
    (403, "", "blocked by policy"),
    (429, "", "You exceeded your current quota. Please retry in 38.1s."),
    (429, "", "Exceeded the rate limit of free credits"),
]
TOO_MANY = [
    (400, "Throttling.RateQuota", "try again later"),
    (400, "", "Too many requests, please wait before trying again."),
    (403, "", "You have exceeded a secondary rate limit. Please wait a few minutes."),
    (500, "", "An error occurred (ThrottlingException): Too many tokens, please wait"),
    (503, "rate_limit_error", "slow"),
    (503, "RESOURCE_EXHAUSTED", "slow"),
    (403, "REQUEST_LIMIT_EXCEEDED", "slow"),
]
LONG = [
    "You are using a Trial key, which is limited to 1000 API calls / month.",
    "request reached organization TPD rate limit, current: 1505000, limit: 1500000",
    "Rate limit of 50 exceeded for UserByModelByDay.",
    "You have exceeded your weekly quota",
    "Limit of 5 per 86400s exceeded",
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


@pytest.mark.parametrize(("status", "code", "message"), NOT_CREDIT)
def test_what_speaks_of_something_else_pauses_no_job(status: int, code: str, message: str) -> None:
    assert not isinstance(judged(status, code, message), PauseJob)


MONEY = ["budget", "credits", "credit balance", "account balance", "spending limit", "funds"]
AT_ITS_END = ["exceeded", "exhausted", "reached", "insufficient", "depleted", "used up", "too low"]


@given(
    money=st.sampled_from(MONEY),
    gone=st.sampled_from(AT_ITS_END),
    between=st.sampled_from([" ", " has been ", " of this team is ", " of the month was "]),
    around=st.sampled_from(["{}", "Sorry: {}!", "Error (id 7): {}. See the page.", "upstream: {}"]),
    status=st.sampled_from([400, 401, 403, 404, 412, 418, 422, 429]),
    turned=st.booleans(),
)
def test_money_at_its_end_is_no_credit_in_whatever_words(
    money: str, gone: str, between: str, around: str, status: int, turned: bool
) -> None:
    """And what quotes a row that says so, or puts the words into a list, is not."""
    said = f"{gone} {money}" if turned else f"{money}{between}{gone}"
    for spelled in (said, said.replace(" ", "_"), said.title().replace(" ", "")):
        assert isinstance(judged(status, "", around.format(spelled)), PauseJob)
        assert isinstance(judged(status, spelled, "no"), PauseJob)
        quoted = judged(status, "", around.format(f"in '{spelled}'"), asked=(f"Why {spelled}?",))
        assert not isinstance(quoted, PauseJob)
    apart = judged(400, "", f'{gone} detail in "my {money}"', asked=(f"my {money}",))
    assert isinstance(apart, Dead)


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize(("status", "code", "message"), TOO_MANY)
def test_a_rate_limit_is_one_whatever_its_status(
    status: int, code: str, message: str, accepted: bool
) -> None:
    assert isinstance(judged(status, code, message, accepted=accepted), SharedPause)


@pytest.mark.parametrize("message", LONG)
def test_a_limit_of_days_pauses_the_job_at_once(message: str) -> None:
    assert isinstance(judged(429, "", message), PauseJob)


@pytest.mark.parametrize("message", ["Limit of 5 per 60s exceeded", "too fast by dayenu", "RPM"])
def test_a_limit_of_minutes_is_waited_for(message: str) -> None:
    assert isinstance(judged(429, "", message), SharedPause)


@pytest.mark.parametrize("code", ["json_validate_failed", "tool_use_failed"])
def test_what_a_model_made_badly_is_made_again(code: str) -> None:
    verdict = judged(400, code, "Failed to generate JSON. Please adjust your prompt.")
    assert isinstance(verdict, Refusal)
    assert not verdict.named
    assert "--model" in verdict.reason


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
        ("expired_key", "Authentication Error - Expired Key. Key Expiry time 2026-11-29", True),
        ("", "This key is disabled", True),
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
