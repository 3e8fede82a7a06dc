"""Causes that no waiting mends: before the first success they end a run within seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from batcher.core.errors import UsageError
from tests.engine.answering import Answer, Body, answering, asked, chat
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import nothing_written, open_work, words

PAGE = "<!doctype html><html><head><title>Some app</title></head><body></body></html>"
EVENTS = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\ndata: [DONE]\n\n'


def saying(text: str, content_type: str = "application/json") -> web.Response:
    return web.Response(text=text, content_type=content_type)


FOREIGN: dict[str, tuple[Callable[[], web.Response], str]] = {
    "page": (lambda: saying(PAGE, "text/html"), "a web page"),
    "page-without-type": (lambda: saying(PAGE), "a web page"),
    "page-in-capitals": (lambda: saying(f"\n  {PAGE.upper()}", "text/plain"), "a web page"),
    "events": (lambda: saying(EVENTS, "text/event-stream"), "an event stream"),
    "list": (lambda: saying("[]"), "a JSON list"),
    "list-of-objects": (lambda: saying('[{"label": "POSITIVE", "score": 0.9}]'), "a JSON list"),
    "nothing": (lambda: saying(""), "nothing in it"),
    "no-content": (lambda: web.Response(status=204), "nothing in it"),
    "text": (lambda: saying("OK", "text/plain"), "not a JSON object"),
    "number": (lambda: saying("42"), "not a JSON object"),
    "encoding": (
        lambda: web.Response(body=b"\x1f\x9d\x90", headers={"Content-Encoding": "compress"}),
        "Content-Encoding",
    ),
    "null": (lambda: saying("null"), "not a JSON object"),
}


@pytest.mark.parametrize("rows", [1, 3, 40])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("name", FOREIGN)
@in_virtual_time
async def test_what_is_no_answer_ends_the_run(here: Path, name: str, kind: str, rows: int) -> None:
    make, said = FOREIGN[name]
    async with open_work(here) as work, answering(lambda body, number: make()) as server:
        started = work.now()
        texts = list(words(rows))
        spec = work.embed(texts) if kind == "embed" else work.chat(texts)
        spec = spec.from_json({**spec.to_json(), "base_url": server.base_url})
        ran = await work.run(spec)

        assert ran.report.exit_code == 2
        assert said in (ran.report.reason or "")
        assert "--base-url" in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.now() - started < 5
        assert len(server) <= 4
        assert nothing_written(work)


@pytest.mark.parametrize("name", FOREIGN)
@in_virtual_time
async def test_one_row_that_is_answered_so_is_its_own_affair(here: Path, name: str) -> None:
    make, _ = FOREIGN[name]

    def answer(body: Body, number: int) -> Answer:
        return make() if "blocked" in asked(body) else chat("fine")

    for place in (0, 9, 19):
        async with open_work(here) as work, answering(answer) as server:
            texts = list(words(20))
            texts[place] = "blocked"
            ran = await work.run(
                work.chat(texts, base_url=server.base_url, outage_timeout=600),
                output=f"{place}.jsonl",
            )
            assert ran.report.rows_done == 19
            assert ran.report.exit_code in (3, 5)  # the last row has nobody beside it


@in_virtual_time
async def test_a_name_that_does_not_resolve_ends_the_run(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(list(words(20)), base_url="http://no-host.invalid/v1"))

        assert ran.report.exit_code == 2
        assert "no-host.invalid does not resolve" in (ran.report.reason or "")
        assert "--base-url" in (ran.report.reason or "")
        assert ran.report.doubt_requests == 0


@pytest.mark.parametrize(
    ("proxy", "advice"),
    [
        ("proxy.example.com:3128", "has no scheme"),
        ("socks5://127.0.0.1:9", "socks5:// proxy, which is not supported"),
        ("http://", "names no host"),
        ("http://host:port", "names no host or no port"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@in_virtual_time
async def test_a_proxy_that_is_none_is_refused_before_anything_is_sent(
    here: Path, monkeypatch: pytest.MonkeyPatch, proxy: str, advice: str, variable: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    async with open_work(here) as work:
        with pytest.raises(UsageError, match=advice):
            await work.run(work.chat(list(words(3)), base_url="http://api.example.com/v1"))
