"""Status faults in Azure's dialect: code and message alone, and API Management's flat object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from batcher.simulator.faults.fault_context import FaultContext, StatusFault
from batcher.simulator.replies import DAY_SECONDS, Reply, azure_error, wait_headers


def _rate_limit(code: str, wait_seconds: float) -> Reply:
    headers = wait_headers(wait_seconds)
    return azure_error(
        429,
        code,
        "Your requests to sim for sim in Sim Central have exceeded the token rate limit for your "
        "current AIServices S0 pricing tier. This request was for ChatCompletions_Create under "
        f"Azure OpenAI API version 2024-10-21. Please retry after {headers['retry-after']} "
        "seconds. To increase your default rate limit, visit: https://aka.ms/oai/quotaincrease.",
        headers=headers,
    )


def _gateway(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """What API Management answers by itself: neither an error object nor a code."""
    body = {"statusCode": status, "message": message}
    return Reply(status=status, body=orjson.dumps(body), headers=headers or {})


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


REPLIES: Final[Mapping[str, StatusFault]] = {
    "azure_401_token": StatusFault(
        "401 of Azure's gateway, without an error object",
        lambda _: _gateway(
            401,
            "Unauthorized. Access token is missing, invalid, audience is incorrect "
            "(https://cognitiveservices.azure.com), or have expired.",
        ),
    ),
    "azure_408": StatusFault(
        "408 of Azure", lambda _: azure_error(408, "Timeout", "The operation was timeout.")
    ),
    "azure_429": StatusFault(
        "429 of Azure, code RateLimitReached, retry-after 2",
        lambda _: _rate_limit("RateLimitReached", 2.0),
    ),
    "azure_429_status": StatusFault(
        "429 of Azure, its code the status, retry-after 2", lambda _: _rate_limit("429", 2.0)
    ),
    "azure_429_no_code": StatusFault(
        "429 of Azure's gateway, without a code, retry-after 2",
        lambda _: _gateway(
            429, "Rate limit is exceeded. Try again in 2 seconds.", {"retry-after": "2"}
        ),
    ),
    "azure_429_day": StatusFault(
        "429 of Azure, retry-after a day", lambda _: _rate_limit("429", DAY_SECONDS)
    ),
    "azure_content_filter": StatusFault("400 content_filter of Azure", _content_filter),
}
