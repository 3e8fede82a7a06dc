"""Status faults as OpenAI answers them: its error object, its codes and its words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Final

from batcher.simulator.faults.fault_context import FaultContext, StatusFault
from batcher.simulator.replies import (
    LIMITS_URL,
    Reply,
    error,
    overloaded,
    server_error,
    unauthorized,
    unknown_model,
    wait_headers,
)

RATE_LIMIT_WAIT_SECONDS = 0.2
LONG_WAIT_SECONDS = 3600.0
DATE_WAIT_SECONDS = 5.0

_CREDIT: Final[Mapping[str, str]] = {
    "credit_balance_exhausted": "Your credit balance is exhausted. Add credits to continue.",
    "billing_not_active": "Your account is not active, please check your billing details on our "
    "website.",
    "billing_hard_limit_reached": "Billing hard limit has been reached",
    "project_spend_limit_exceeded": "The project has reached its monthly spend limit.",
    "organization_spend_limit_exceeded": "The organization has reached its monthly spend limit.",
    "organization_usage_limit_exceeded": "The organization has reached its usage limit.",
}
_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors."
)


def _rate_limit(
    context: FaultContext, unit: str = "requests per min (RPM)", wait: str = "200ms"
) -> Reply:
    return error(
        429,
        f"Rate limit reached for {context.model} in organization org-sim on {unit}: Limit 500, "
        f"Used 500, Requested 1. Please try again in {wait}. Visit {LIMITS_URL} to learn more.",
        type="requests",
        code="rate_limit_exceeded",
    )


def _waiting(reply: Reply, seconds: float) -> Reply:
    return replace(reply, headers=wait_headers(seconds))


def _dated(context: FaultContext, seconds: float) -> Reply:
    """A `retry-after` that is a date, as proxies write it (to the second)."""
    date = formatdate(context.wall + seconds, usegmt=True)
    return replace(_rate_limit(context), headers={"retry-after": date})


def _too_large(context: FaultContext) -> Reply:
    return error(
        429,
        f"Request too large for {context.model} in organization org-sim on tokens per min (TPM): "
        f"Limit 30000, Requested 30601. The input or output tokens must be reduced in order to "
        f"run successfully. Visit {LIMITS_URL} to learn more.",
        type="tokens",
    )


def _slow_down(context: FaultContext) -> Reply:
    return error(
        429,
        "Slow down. A sudden increase in your request rate is impacting service reliability. "
        "Please reduce your request rate to its original level, maintain a consistent rate for "
        "at least 15 minutes, and then gradually increase it.",
        type="requests",
        code="slow_down",
        headers=wait_headers(RATE_LIMIT_WAIT_SECONDS),
    )


def _invalid_input(context: FaultContext) -> Reply:
    return error(
        400,
        f"Invalid value for '{context.param}': {context.text[:200]!r}.",
        param=context.param,
        code="invalid_value",
    )


def _unsupported(param: str | None, code: str) -> Callable[[FaultContext], Reply]:
    return lambda context: error(
        400,
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default "
        "(1) value is supported.",
        param=param,
        code=code,
    )


def _forbidden(context: FaultContext) -> Reply:
    return error(
        403,
        f"Project `proj_sim` does not have access to model `{context.model}`",
        code="model_not_found",
    )


def _out_of_credit(status: int, code: str, *, type_alone: bool = False) -> StatusFault:
    said = f"{code} as the type, without a code" if type_alone else code
    return StatusFault(
        f"{status}, out of credit: {said}",
        lambda _: error(
            status,
            _CREDIT.get(code, _QUOTA),
            type=code if type_alone or status == 429 else "invalid_request_error",
            code=None if type_alone else code,
        ),
    )


def _final(reply: Reply) -> Reply:
    return replace(reply, headers={"x-should-retry": "false"})


REPLIES: Final[Mapping[str, StatusFault]] = {
    "400": StatusFault("400 that names the input, and quotes it", _invalid_input),
    "400_param": StatusFault(
        "400 that names another parameter", _unsupported("temperature", "unsupported_value")
    ),
    "400_unsupported": StatusFault(
        "400 unsupported_parameter, without its name", _unsupported(None, "unsupported_parameter")
    ),
    "400_hard_limit": _out_of_credit(400, "billing_hard_limit_reached"),
    "401": StatusFault(
        "401; Azure's on its paths", lambda c: unauthorized(c.key or "none", azure=c.azure)
    ),
    "403": StatusFault("403: no access to the model", _forbidden),
    "404": StatusFault(
        "404: no such model; on Azure's paths no such deployment",
        lambda c: unknown_model(c.model, azure=c.azure),
    ),
    "409": StatusFault(
        "409 conflict", lambda _: error(409, "Another operation is in progress.", code="conflict")
    ),
    "418": StatusFault(
        "418, which no API answers", lambda _: error(418, "I'm a teapot.", type="teapot")
    ),
    "429": StatusFault(
        "429, retry-after-ms 200 and retry-after 1",
        lambda c: _waiting(_rate_limit(c), RATE_LIMIT_WAIT_SECONDS),
    ),
    "429_date": StatusFault(
        "429, retry-after a date in 5 s", lambda c: _dated(c, DATE_WAIT_SECONDS)
    ),
    "429_date_long": StatusFault(
        "429, retry-after a date in an hour", lambda c: _dated(c, LONG_WAIT_SECONDS)
    ),
    "429_long": StatusFault(
        "429, retry-after an hour", lambda c: _waiting(_rate_limit(c), LONG_WAIT_SECONDS)
    ),
    "429_daily": StatusFault(
        "429 of a daily limit, retry-after an hour",
        lambda c: _waiting(_rate_limit(c, "requests per day (RPD)", "1h0m0s"), LONG_WAIT_SECONDS),
    ),
    "429_daily_seconds": StatusFault(
        "429 of a daily limit that refills steadily: retry-after 9",
        lambda c: _waiting(_rate_limit(c, "tokens per day (TPD)", "8.64s"), 8.64),
    ),
    "429_slow_down": StatusFault("429 slow_down", _slow_down),
    "429_wait": StatusFault("429, retry-after 100", lambda c: _waiting(_rate_limit(c), 100.0)),
    "429_too_large": StatusFault("429 request too large, without a code", _too_large),
    "429_quota": _out_of_credit(429, "insufficient_quota"),
    "429_quota_type": _out_of_credit(429, "insufficient_quota", type_alone=True),
    **{f"429_{code}": _out_of_credit(429, code) for code in _CREDIT},
    "500": StatusFault("500", lambda _: server_error()),
    "500_final": StatusFault("500, x-should-retry false", lambda _: _final(server_error())),
    "503": StatusFault("503 overloaded", lambda _: overloaded()),
    "503_wait": StatusFault(
        "503 overloaded, retry-after 20", lambda _: _waiting(overloaded(), 20.0)
    ),
}
