"""Paths: which endpoint a request asks for, and as whom."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson
from aiohttp import web

from batcher.simulator.kept import KEY_HEADER
from batcher.simulator.provider import Caller, Endpoint
from batcher.simulator.replies import (
    Refused,
    Reply,
    azure_error,
    unknown_model,
    unknown_path,
    wrong_method,
)

MODELS = (
    "text-embedding-3-small",
    "text-embedding-3-large",
    "gpt-6-luna",
    "gpt-6.1-terra",
    "gpt-6.1-sol",
    "gpt-4o-mini",
)
_ENDPOINTS: Mapping[str, Endpoint] = {
    "/v1/embeddings": "embeddings",
    "/v1/chat/completions": "chat",
}
_AZURE = re.compile(r"/openai/deployments/([^/]+)(/embeddings|/chat/completions)")


def route(request: web.BaseRequest, path: str) -> tuple[Endpoint | None, Caller]:
    """Return what is asked for, None for the list of models; raises `Refused` for no path."""
    authorization = request.headers.get("Authorization", "")
    key = authorization.removeprefix("Bearer ").strip() or request.headers.get("api-key")
    method, deployment = "POST", None
    endpoint = _ENDPOINTS.get(path)
    if endpoint is None and (path == "/v1/models" or path.startswith("/v1/models/")):
        method = "GET"
    elif endpoint is None:
        match = _AZURE.fullmatch(path)
        if match is None:
            raise Refused(unknown_path(request.method, path))
        if "api-version" not in request.query:
            raise Refused(azure_error(404, "404", "Resource not found"))
        deployment, endpoint = match[1], _ENDPOINTS[f"/v1{match[2]}"]
    if request.method != method:
        raise Refused(wrong_method(request.method, path))
    return endpoint, Caller(
        key=key,
        idempotency_key=request.headers.get(KEY_HEADER),
        azure=deployment is not None,
        deployment=deployment,
    )


def models_reply(path: str) -> Reply:
    """Return the list of models, or the one that the path names."""
    name = path.removeprefix("/v1/models").removeprefix("/")
    if name.startswith("unknown"):
        return unknown_model(name)
    listed = [
        {"id": model, "object": "model", "created": 1700000000, "owned_by": "simulator"}
        for model in ((name,) if name else MODELS)
    ]
    body = listed[0] if name else {"object": "list", "data": listed}
    return Reply(status=200, body=orjson.dumps(body))
