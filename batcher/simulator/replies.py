"""Answers that are not results: errors in the words and shapes of the providers.

OpenAI's wording, from its API reference and its answers in public bug reports; Azure's
shape for the calls that came in through its paths. Bodies are built, never sent, here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from batcher.simulator.limits import Rejection, duration

JSON_TYPE = "application/json"
LIMITS_URL = "https://platform.openai.com/account/rate-limits"
DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A complete answer: its status, its body and the headers beyond the usual ones."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE


class Refused(Exception):
    """A request that cannot be served; `reply` says why, as the provider would."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"answered {reply.status}")
        self.reply = reply


def error(
    status: int,
    message: str,
    *,
    type: str | None = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return OpenAI's error object."""
    body = {"error": {"message": message, "type": type, "param": param, "code": code}}
    return Reply(status=status, body=orjson.dumps(body), headers=headers or {})


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Refused:
    """Return a 400 to raise."""
    return Refused(error(400, message, param=param, code=code))


def missing(param: str) -> Refused:
    """Return the 400 for a required parameter that is absent."""
    return invalid(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def wrong_type(param: str, expected: str, value: object) -> Refused:
    """Return the 400 for a parameter of the wrong JSON type."""
    return invalid(
        f"Invalid type for '{param}': expected {expected}, but got {json_type(value)} instead.",
        param=param,
        code="invalid_type",
    )


def empty_array(param: str) -> Refused:
    """Return the 400 for an array without items."""
    return invalid(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an "
        "empty array instead.",
        param=param,
        code="empty_array",
    )


def json_type(value: object) -> str:
    """Name the JSON type of a value as OpenAI's messages do."""
    names = {str: "a string", int: "an integer", float: "a decimal", list: "an array"}
    names |= {dict: "an object", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "something else")


def wait_headers(seconds: float) -> dict[str, str]:
    """Return `retry-after` in whole seconds and `retry-after-ms`, both rounded up."""
    return {
        "retry-after": str(max(1, math.ceil(seconds))),
        "retry-after-ms": str(max(1, math.ceil(seconds * 1000))),
    }


def rate_limited(rejection: Rejection, model: str, *, azure: bool) -> Reply:
    """Return the 429 of a limiter's rejection, without the headers that tell the wait of it."""
    if rejection.too_large and not azure:
        return error(
            429,
            f"Request too large for {model} in organization org-sim on tokens per min (TPM): "
            f"Limit {rejection.limit}, Requested {rejection.requested}. The input or output "
            f"tokens must be reduced in order to run successfully. Visit {LIMITS_URL} to learn "
            "more.",
            type="tokens",
            code="rate_limit_exceeded",
        )
    headers = wait_headers(DAY_SECONDS if rejection.too_large else rejection.wait_seconds)
    if azure:  # which tells nobody that a request is too large: it says to wait for a day
        return azure_error(
            429,
            "429",
            "Requests to the operation under Azure OpenAI API have exceeded "
            f"{'token' if rejection.dimension == 'tokens' else 'call'} rate limit of your current "
            f"OpenAI S0 pricing tier. Please retry after {headers['retry-after']} seconds.",
            headers=headers,
        )
    unit = "tokens per min (TPM)" if rejection.dimension == "tokens" else "requests per min (RPM)"
    return error(
        429,
        f"Rate limit reached for {model} in organization org-sim on {unit}: "
        f"Limit {rejection.limit}, Used {rejection.used}, Requested {rejection.requested}. "
        f"Please try again in {duration(rejection.wait_seconds)}. Visit {LIMITS_URL} to learn "
        "more.",
        type=rejection.dimension,
        code="rate_limit_exceeded",
        headers=headers,
    )


def azure_error(
    status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
) -> Reply:
    """Return the error object of Azure's gateway: code and message alone."""
    body = {"error": {"code": code, "message": message}}
    return Reply(status=status, body=orjson.dumps(body), headers=headers or {})


def unauthorized(key: str | None, *, azure: bool) -> Reply:
    """Return the 401 for a missing or a wrong key; the key is masked in it."""
    if azure:
        return azure_error(
            401,
            "401",
            "Access denied due to invalid subscription key or wrong API endpoint. Make sure to "
            "provide a valid key for an active subscription and use a correct regional API "
            "endpoint for your resource.",
        )
    if key is None:
        return error(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization "
            "header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). You can obtain an "
            "API key from https://platform.openai.com/account/api-keys.",
        )
    masked = f"{key[:4]}{'*' * (len(key) - 8)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
    return error(
        401,
        f"Incorrect API key provided: {masked}. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        code="invalid_api_key",
    )


def unknown_model(model: str, *, azure: bool = False) -> Reply:
    """Return the 404 for a model, or for an Azure deployment, that does not exist."""
    if azure:
        return azure_error(
            404,
            "DeploymentNotFound",
            "The API deployment for this resource does not exist. If you created the deployment "
            "within the last 5 minutes, please wait a moment and try again.",
        )
    return error(
        404,
        f"The model `{model}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def unknown_path(method: str, path: str) -> Reply:
    """Return the 404 for a path that is not part of the API."""
    return error(404, f"Invalid URL ({method} {path})")


def wrong_method(method: str, path: str) -> Reply:
    """Return the 405 for a path that exists, asked for in the wrong way."""
    return error(
        405,
        f"Not allowed to {method} on {path}. (HINT: Perhaps you meant to use a different HTTP "
        "method?)",
        code="method_not_supported",
    )


def not_json() -> Refused:
    """Return the 400 for a body that cannot be read."""
    return invalid(
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't "
        "using your HTTP library correctly. The OpenAI API expects a JSON payload, but what was "
        "sent was not valid JSON.)"
    )


def overloaded() -> Reply:
    """Return the 503 of an overloaded provider."""
    return error(
        503,
        "That model is currently overloaded with other requests. You can retry your request, or "
        "contact us through our help center at help.openai.com if the error persists.",
        type="server_error",
        code="service_unavailable",
    )


def server_error() -> Reply:
    """Return OpenAI's 500."""
    return error(
        500,
        "The server had an error while processing your request. Sorry about that!",
        type="server_error",
    )
