"""Status faults of everybody else: vLLM, llama.cpp, gateways, and proxies that answer HTML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from batcher.simulator.faults.fault_context import FaultContext, StatusFault
from batcher.simulator.replies import Reply, error


def _vllm(
    status: int, type: str, message: str, *, param: str | None = None, nested: bool = False
) -> Reply:
    """Return vLLM's error: flat and with the status as its code, since 0.10 in an `error`."""
    said = {"message": message, "type": type, "param": param, "code": status}
    return Reply(
        status=status, body=orjson.dumps({"error": said} if nested else {"object": "error", **said})
    )


def _vllm_too_long(context: FaultContext) -> Reply:
    return _vllm(
        400,
        "BadRequestError",
        "This model's maximum context length is 4096 tokens. However, you requested 16 output "
        "tokens and your prompt contains at least 4081 input tokens, for a total of at least 4097 "
        "tokens. Please reduce the length of the input prompt or the number of requested output "
        "tokens.",
        param="input_tokens",
        nested=True,
    )


def _vllm_no_room(context: FaultContext) -> Reply:
    return _vllm(
        400,
        "BadRequestError",
        "'max_tokens' or 'max_completion_tokens' is too large: 2048. This model's maximum context "
        "length is 4096 tokens and your request has 2778 input tokens (2048 > 4096 - 2778).",
        param="max_tokens",
        nested=True,
    )


def _llama(status: int, type: str, message: str) -> Reply:
    body = {"error": {"code": status, "message": message, "type": type}}
    return Reply(status=status, body=orjson.dumps(body))


def _echoed_key(context: FaultContext) -> Reply:
    return error(
        401,
        "Authentication Error, Invalid proxy server token passed. Received API Key = "
        f"{context.key}. Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
        type="token_not_found_in_db",
        param="key",
        code="401",
    )


def _html(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Reply:
    title = f"{status} {reason}"
    page = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1>"
        "</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status=status, body=page.encode(), headers=headers or {}, content_type="text/html")


REPLIES: Final[Mapping[str, StatusFault]] = {
    "302": StatusFault(
        "302 of a proxy, to its login", lambda _: _html(302, "Found", {"location": "/login"})
    ),
    "400_vllm": StatusFault(
        "400 of vLLM, flat and with an integer code",
        lambda c: _vllm(400, "BadRequestError", f"Invalid value in {c.param}: {c.text[:200]}"),
    ),
    "400_vllm_long": StatusFault(
        "400 of vLLM: the prompt exceeds the context (param input_tokens)", _vllm_too_long
    ),
    "400_vllm_room": StatusFault(
        "400 of vLLM: no room for max_tokens beside this prompt", _vllm_no_room
    ),
    "401_echo": StatusFault("401 of a gateway that quotes the key", _echoed_key),
    "402": StatusFault(
        "402 insufficient balance",
        lambda _: error(
            402, "Insufficient Balance", type="unknown_error", code="invalid_request_error"
        ),
    ),
    "404_html": StatusFault("404 of a proxy, HTML", lambda _: _html(404, "Not Found")),
    "404_vllm": StatusFault(
        "404 of vLLM: no such model",
        lambda c: _vllm(404, "NotFoundError", f"The model `{c.model}` does not exist."),
    ),
    "408": StatusFault("408 of a proxy, HTML", lambda _: _html(408, "Request Time-out")),
    "413": StatusFault("413 of a proxy, HTML", lambda _: _html(413, "Request Entity Too Large")),
    "422_vllm": StatusFault(
        "422 of vLLM, flat and with an integer code",
        lambda c: _vllm(
            422, "UnprocessableEntityError", f"Invalid value in {c.param}: {c.text[:200]}"
        ),
    ),
    "429_bare": StatusFault("429 and nothing else", lambda _: Reply(status=429, body=b"")),
    "429_html": StatusFault("429 of a proxy, HTML", lambda _: _html(429, "Too Many Requests")),
    "500_vllm": StatusFault(
        "500 of vLLM, flat and with an integer code",
        lambda _: _vllm(500, "InternalServerError", "EngineCore encountered an issue."),
    ),
    "501": StatusFault("501 of a proxy, HTML", lambda _: _html(501, "Not Implemented")),
    "501_llama": StatusFault(
        "501 of llama.cpp: started without embeddings",
        lambda _: _llama(
            501,
            "not_supported_error",
            "This server does not support embeddings. Start it with `--embeddings`",
        ),
    ),
    "502_html": StatusFault("502 of a proxy, HTML", lambda _: _html(502, "Bad Gateway")),
    "504_html": StatusFault("504 of a proxy, HTML", lambda _: _html(504, "Gateway Time-out")),
    "529": StatusFault(
        "529 of a gateway", lambda _: error(529, "Overloaded", type="overloaded_error")
    ),
    "too_large": StatusFault(
        "500 of llama.cpp: larger than the physical batch",
        lambda _: _llama(
            500,
            "server_error",
            "input is too large to process. increase the physical batch size",
        ),
    ),
}
