"""A bare HTTP client for the simulator's tests: what was sent is what is seen."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from multidict import CIMultiDict

from batcher.simulator import Simulator

EMBEDDER = "text-embedding-3-small"
CHATTER = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: CIMultiDict[str]
    raw: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.raw)

    @property
    def error(self) -> Any:
        return self.json["error"]


async def request(
    simulator: Simulator,
    path: str,
    body: object = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a body, as JSON unless it is bytes; without one, GET."""
    data = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
    verb = method or ("GET" if body is None else "POST")
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            verb,
            simulator.url + path,
            data=None if data is None else io.BytesIO(data),
            headers={"Content-Type": "application/json", **(headers or {})},
            allow_redirects=False,
        ) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def embed(
    simulator: Simulator, given: object, *, model: str = EMBEDDER, **parameters: object
) -> Answer:
    return await request(
        simulator, "/v1/embeddings", {"model": model, "input": given, **parameters}
    )


async def chat(
    simulator: Simulator, *texts: str, model: str = CHATTER, **parameters: object
) -> Answer:
    """Send user messages."""
    messages = [{"role": "user", "content": text} for text in texts]
    return await request(
        simulator, "/v1/chat/completions", {"model": model, "messages": messages, **parameters}
    )


def content(answer: Answer) -> str:
    text = answer.json["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


class FakeTime:
    """A clock that moves when told to, or when somebody sleeps on it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
