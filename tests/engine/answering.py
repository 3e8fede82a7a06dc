"""A server on loopback that answers as a test says, down to the bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Body = dict[str, Any]
Answer = dict[str, Any] | bytes | web.Response
Answering = Callable[[Body, int], Answer]
"""What the answer to a request's body is, 200 unless it says otherwise; counted from 1."""


class RequestBuilder:
    """The requests that came, as their bodies."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self.base_url = ""

    def __len__(self) -> int:
        return len(self.bodies)

    def about(self, text: str) -> int:
        """How many of them hold this text."""
        return sum(text in json.dumps(body) for body in self.bodies)


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[RequestBuilder]:
    """Serve until the context ends."""
    requests = RequestBuilder()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        requests.bodies.append(body)
        given = answer(body, len(requests))
        if isinstance(given, web.Response):
            return given
        raw = given if isinstance(given, bytes) else json.dumps(given).encode()
        return web.Response(body=raw, content_type="application/json")

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    requests.base_url = f"http://{host}:{port}/v1"
    try:
        yield requests
    finally:
        await runner.cleanup()


def asked(body: Body) -> str:
    """The text that a chat request asks about."""
    text: str = next(m["content"] for m in body["messages"] if m["role"] == "user")
    return text


def chat(content: object, finish_reason: object = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion that cost 10 and 5 tokens."""
    return {
        "id": "c1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, **message},
                "finish_reason": finish_reason,
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def vectors(body: Body, indexes: Callable[[int], object] = lambda place: place) -> dict[str, Any]:
    """An embeddings answer; of a text that ends in a number the vector is ``[number, 1]``."""
    data = [
        {"index": indexes(place), "embedding": [float(text.split()[-1]), 1.0]}
        for place, text in enumerate(body["input"])
    ]
    tokens = 3 * len(data)
    return {"data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
