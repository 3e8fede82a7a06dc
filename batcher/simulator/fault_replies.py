"""The answers of the status faults, each as some real provider or proxy gives it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from batcher.simulator.replies import (
    LIMITS_URL,
    Reply,
    azure_error,
    error,
    overloaded,
    server_error,
    unauthorized,
    unknown_model,
    wait_headers,
)

RATE_LIMIT_WAIT_SECONDS = 0.2
DAILY_WAIT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultContext:
    """What an answer may say of the request that it refuses."""

    model: str
    param: str
    """`input` or `messages`."""
    text: str
    """The text with the marker; providers echo such texts in their messages."""
    key: str | None
    azure: bool


def fault_reply(name: str, context: FaultContext) -> Reply:
    """Return the answer of the status fault `name`."""
    return _REPLIES[name](context)


def _rate_limit(context: FaultContext) -> Reply:
    return error(
        429,
        f"Rate limit reached for {context.model} in organization org-sim on requests per min "
        f"(RPM): Limit 500, Used 500, Requested 1. Please try again in 200ms. Visit {LIMITS_URL} "
        "to learn more.",
        type="requests",
        code="rate_limit_exceeded",
        headers=wait_headers(RATE_LIMIT_WAIT_SECONDS),
    )


def _daily(context: FaultContext) -> Reply:
    return error(
        429,
        f"Rate limit reached for {context.model} in organization org-sim on requests per day "
        f"(RPD): Limit 10000, Used 10000, Requested 1. Please try again in 1h0m0s. Visit "
        f"{LIMITS_URL} to learn more.",
        type="requests",
        code="rate_limit_exceeded",
        headers=wait_headers(DAILY_WAIT_SECONDS),
    )


def _quota(context: FaultContext) -> Reply:
    return error(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
        code="insufficient_quota",
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


def _invalid_param(context: FaultContext) -> Reply:
    return error(
        400,
        "Unsupported value: 'temperature' does not support 0 with this model. Only the default "
        "(1) value is supported.",
        param="temperature",
        code="unsupported_value",
    )


def _echoed_key(context: FaultContext) -> Reply:
    return error(
        401,
        "Authentication Error, Invalid proxy server token passed. Received API Key = "
        f"{context.key}. Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
        type="token_not_found_in_db",
        param="key",
        code="401",
    )


def _forbidden(context: FaultContext) -> Reply:
    return error(
        403,
        f"Project `proj_sim` does not have access to model `{context.model}`",
        code="model_not_found",
    )


def _vllm(context: FaultContext) -> Reply:
    body = {
        "object": "error",
        "message": f"Invalid value in {context.param}: {context.text[:200]}",
        "type": "UnprocessableEntityError",
        "param": None,
        "code": 422,
    }
    return Reply(status=422, body=orjson.dumps(body))


def _content_filter(context: FaultContext) -> Reply:
    severities = {"hate": "safe", "self_harm": "safe", "sexual": "safe", "violence": "medium"}
    body = {
        "error": {
            "message": "The response was filtered due to the prompt triggering Azure OpenAI's "
            "content management policy. Please modify your prompt and retry. To learn more about "
            "our content filtering policies please read our documentation: "
            "https://go.microsoft.com/fwlink/?linkid=2198766",
            "type": None,
            "param": "prompt",
            "code": "content_filter",
            "status": 400,
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {
                    kind: {"filtered": severity != "safe", "severity": severity}
                    for kind, severity in severities.items()
                },
            },
        }
    }
    return Reply(status=400, body=orjson.dumps(body))


def _too_large(context: FaultContext) -> Reply:
    message = "input is too large to process. increase the physical batch size"
    body = {"error": {"code": 500, "message": message, "type": "server_error"}}
    return Reply(status=500, body=orjson.dumps(body))


def _html(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Reply:
    title = f"{status} {reason}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status=status, body=page.encode(), headers=headers or {}, content_type="text/html")


_REPLIES: Final[Mapping[str, Callable[[FaultContext], Reply]]] = {
    "302": lambda c: _html(302, "Found", {"location": "/login"}),
    "400": _invalid_input,
    "400_param": _invalid_param,
    "401": lambda c: unauthorized(c.key or "none", azure=c.azure),
    "401_echo": _echoed_key,
    "402": lambda c: error(
        402, "Insufficient Balance", type="unknown_error", code="invalid_request_error"
    ),
    "403": _forbidden,
    "404": lambda c: unknown_model(c.model, azure=c.azure),
    "408": lambda c: azure_error(408, "Timeout", "The operation was timeout."),
    "409": lambda c: error(409, "Another operation is in progress.", code="conflict"),
    "413": lambda c: _html(413, "Request Entity Too Large"),
    "418": lambda c: error(418, "I'm a teapot.", type="teapot"),
    "422_vllm": _vllm,
    "429": _rate_limit,
    "429_daily": _daily,
    "429_quota": _quota,
    "429_slow_down": _slow_down,
    "500": lambda c: server_error(),
    "500_final": lambda c: replace(server_error(), headers={"x-should-retry": "false"}),
    "502_html": lambda c: _html(502, "Bad Gateway"),
    "503": lambda c: overloaded(),
    "azure_content_filter": _content_filter,
    "too_large": _too_large,
}
