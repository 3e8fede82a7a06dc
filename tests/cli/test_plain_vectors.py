"""Servers that fail at base64 without saying so get plain vectors; an outage changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.cli.serving import Handler, serving

if TYPE_CHECKING:
    from tests.cli.conftest import Cli

EMBED = ("run", "embed", "tickets.csv", "--text", "body", "-m", "m", "--max-inputs", "1")


def server(asked: list[Any], *, fails_for: int, fails_at_base64: bool) -> Handler:
    """It answers 500 so many times, or to each request for base64; ``asked`` are the formats."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body.get("encoding_format"))
        if len(asked) <= fails_for or (fails_at_base64 and asked[-1] == "base64"):
            return web.json_response({"error": {"message": "Internal Server Error"}}, status=500)
        vectors: Any = [0.5, 0.25]
        if asked[-1] == "base64":
            vectors = "AAAAPwAAgD4="
        data = [{"index": at, "embedding": vectors} for at in range(len(body["input"]))]
        return web.json_response({"data": data, "model": "m", "usage": {"prompt_tokens": 3}})

    return answer


def test_a_server_that_fails_at_base64_is_asked_for_plain_vectors(cli: Cli) -> None:
    asked: list[Any] = []
    with serving(server(asked, fails_for=0, fails_at_base64=True)) as url:
        ran = cli(*EMBED, "--base-url", url, "-o", "out.jsonl")
    assert ran.code == 0, ran.stderr
    assert asked[0] == "base64"
    assert asked[-3:] == [None] * 3
    vectors = [json.loads(line)["embedding"] for line in cli.read("out.jsonl").splitlines()]
    assert vectors == [[0.5, 0.25]] * 3


def test_a_server_that_only_begins_badly_is_asked_for_base64_afterwards(cli: Cli) -> None:
    asked: list[Any] = []
    with serving(server(asked, fails_for=5, fails_at_base64=False)) as url:
        ran = cli(*EMBED, "--base-url", url, "-o", "out.jsonl", "-n", "1")
    assert ran.code == 0, ran.stderr
    assert asked == ["base64"] * 3 + [None] + ["base64"] * 2


def test_a_server_that_starts_is_not_taken_for_one(cli: Cli) -> None:
    asked: list[Any] = []
    with serving(server(asked, fails_for=2, fails_at_base64=False)) as url:
        ran = cli(*EMBED, "--base-url", url, "-o", "out.jsonl")
    assert ran.code == 0, ran.stderr
    assert set(asked) == {"base64"}
