"""Inputs at a URL, from a real server (`batcher.adapters.sources.download`)."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batcher.adapters.sources.download import Patience, open_url
from batcher.adapters.system.clock import SystemClock
from batcher.core.errors import InputError, UsageError
from batcher.ports import SourceRequest
from tests.fakes import FakeClock
from tests.servers.web import web_server

CSV = b"id,text\n1,one\n2,two\n"
SECRET = "X-Signature=s3cret"


class Server:
    """Serves what a test wants, by path; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[int] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.failures:
            return web.Response(status=self.failures.pop(0), text="a page")
        match request.path:
            case "/in.csv" | "/download":
                return web.Response(body=CSV)
            case "/in.csv.gz":
                return web.Response(body=gzip.compress(CSV))
            case "/moved.csv":
                raise web.HTTPFound("/in.csv")
            case "/round.csv":
                raise web.HTTPFound("/round.csv")
            case "/local.csv":
                raise web.HTTPFound("file:///etc/passwd")
            case "/short.csv":
                reply = web.StreamResponse(headers={"Content-Length": "1000"})
                await reply.prepare(request)
                await reply.write(CSV)
                assert request.transport is not None
                request.transport.close()
                return reply
            case "/endless.csv":
                reply = web.StreamResponse()
                await reply.prepare(request)
                while True:
                    await reply.write(CSV * 10_000)
            case "/slow.csv":
                reply = web.StreamResponse()
                await reply.prepare(request)
                await reply.write(CSV)
                await asyncio.sleep(30)
                return reply
        return web.Response(status=404)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    async with web_server(serving.answer) as serving.url:
        yield serving


class Hasty(SystemClock):
    """The machine's clocks, and nothing is waited for between two tries."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(min(seconds, 0.01))


def wanted(url: str, directory: Path, **more: Any) -> SourceRequest:
    return SourceRequest(address=url, spool_dir=directory, **{"clock": Hasty(), **more})


async def fetch(url: str, directory: Path, **more: Any) -> list[dict[str, object]]:
    """The rows of what is at a URL."""
    source = await open_url(wanted(url, directory, **more))
    with source:
        facts = source.check(id_column="id", columns=["text"], skip_bad=False)
        rows = [dict(row.record) for batch in source.rows() for row in batch]  # type: ignore[union-attr]
        assert facts.rows == len(rows)
        assert source.sha256() == facts.sha256
    return rows


ROWS = [{"id": "1", "text": "one"}, {"id": "2", "text": "two"}]


@pytest.mark.parametrize("path", ["in.csv", "in.csv.gz", "moved.csv", f"in.csv?{SECRET}#part"])
async def test_what_is_there_is_read_as_a_file_would_be(
    server: Server, tmp_path: Path, path: str
) -> None:
    assert await fetch(f"{server.url}/{path}", tmp_path / "spool") == ROWS


async def test_a_url_whose_path_does_not_tell_the_format_needs_it_said(
    server: Server, tmp_path: Path
) -> None:
    assert await fetch(f"{server.url}/download", tmp_path, format="csv") == ROWS
    with pytest.raises(UsageError, match="give --format"):
        await fetch(f"{server.url}/download", tmp_path)


@pytest.mark.parametrize("failures", [[503], [500, 429]])
async def test_what_may_pass_is_tried_again(
    server: Server, tmp_path: Path, failures: list[int]
) -> None:
    server.failures = [*failures]
    assert await fetch(f"{server.url}/in.csv", tmp_path) == ROWS
    assert len(server.asked) == len(failures) + 1


@pytest.mark.parametrize(
    ("path", "said", "tries"),
    [
        ("gone.csv", "HTTP 404", 1),
        ("short.csv", "the answer ended early", 3),
        ("local.csv", "it redirects to a URL that is neither http nor https", 1),
        ("round.csv", "it redirects without an end", 10),
    ],
)
async def test_what_cannot_be_fetched_is_an_error_without_the_query(
    server: Server, tmp_path: Path, path: str, said: str, tries: int
) -> None:
    with pytest.raises(InputError, match=said) as error:
        await fetch(f"{server.url}/{path}?{SECRET}", tmp_path)
    assert str(error.value) == f"{server.url}/{path}: cannot be fetched: {said}"
    assert len(server.asked) == tries


async def test_a_fault_in_what_was_fetched_names_the_line_without_the_query(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as error:
        await fetch(f"{server.url}/in.csv?{SECRET}", tmp_path, delimiter=";")
    assert str(error.value).startswith(f"{server.url}/in.csv")
    assert "s3cret" not in str(error.value)


async def test_nobody_there_is_an_error(tmp_path: Path, unused_tcp_port: int) -> None:
    with pytest.raises(InputError, match="there is no connection"):
        await fetch(f"http://127.0.0.1:{unused_tcp_port}/in.csv", tmp_path)


@pytest.mark.parametrize("path", ["/endless.csv", "/short.csv"])
async def test_what_is_longer_than_allowed_is_not_fetched(
    path: str, server: Server, tmp_path: Path
) -> None:
    """Neither what says so nor what has no end; and once is enough to know."""
    with pytest.raises(InputError, match=r"is longer than --max-input-bytes allows \(999 bytes\)"):
        await fetch(server.url + path, tmp_path, max_bytes=999)
    assert server.asked == [path]


@pytest.mark.parametrize(
    "patience", [Patience(whole=0.2), Patience(read=0.2)], ids=["as a whole", "between pieces"]
)
async def test_what_takes_too_long_is_given_up(
    server: Server, tmp_path: Path, patience: Patience
) -> None:
    slow = wanted(f"{server.url}/slow.csv", tmp_path)
    with pytest.raises(InputError, match="it takes too long"):
        await open_url(slow, patience=patience)


async def test_tries_are_apart(server: Server, tmp_path: Path) -> None:
    server.failures = [503]
    clock = FakeClock()
    opening = asyncio.create_task(open_url(wanted(f"{server.url}/in.csv", tmp_path, clock=clock)))
    while not clock.sleeping:
        await asyncio.sleep(0.01)
    assert len(server.asked) == 1
    await clock.advance(2.0)
    (await opening).close()
    assert len(server.asked) == 2
