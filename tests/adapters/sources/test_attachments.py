"""The files that rows name: measured and read at paths and at URLs, from a real server."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from batcher.adapters.sources.attachments import RowAttachments, base_of
from batcher.core.errors import NotAllowed, RowError
from batcher.core.row.attachments import KeptAttachment
from tests.servers.web import web_server

CONTENT = b"a picture" * 1_000


class Server:
    """Serves the content, or what its path says; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failures: list[int] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.failures:
            return web.Response(status=self.failures.pop(0))
        match request.path:
            case "/a.png":
                return web.Response(body=CONTENT)
            case "/moved.png":
                raise web.HTTPFound("/a.png")
            case "/local.png":
                raise web.HTTPFound("file:///etc/hostname")
            case "/endless.png":
                reply = web.StreamResponse()
                await reply.prepare(request)
                while True:
                    await reply.write(CONTENT)
            case "/slow.png":
                reply = web.StreamResponse()
                await reply.prepare(request)
                await asyncio.sleep(30)
                return reply
        return web.Response(status=404)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    serving = Server()
    async with web_server(serving.answer) as serving.url:
        yield serving


def never() -> bool:
    return False


async def measured(
    files: RowAttachments, *addresses: str, most_bytes: int = 100_000
) -> list[KeptAttachment | str]:
    """What comes of each: what is kept, or the code of a failure."""
    found = await asyncio.to_thread(files.measure, addresses, most_bytes, never)
    return [each.code if isinstance(each, RowError) else each for each in found]


async def test_what_is_at_a_url_is_measured_and_read(tmp_path: Path, server: Server) -> None:
    files = RowAttachments(tmp_path, None)
    names = ["a.png", "moved.png", "gone.png", "local.png", "a.png"]
    found = await measured(files, *(f"{server.url}/{name}" for name in names))
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    kept = [KeptAttachment(f"{server.url}/{name}", len(CONTENT), sha256) for name in names]
    missing = "attachment_missing"
    assert found == [kept[0], kept[1], missing, missing, kept[4]]
    assert server.asked.count("/a.png") == 2, "once for itself, and once for where it was moved to"
    assert await files.read(kept[1]) == CONTENT


@pytest.mark.parametrize("most_bytes", [len(CONTENT) - 1, len(CONTENT)])
async def test_what_is_too_long_is_not_read_to_its_end(
    tmp_path: Path, server: Server, most_bytes: int
) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    files = RowAttachments(tmp_path, None)
    found = await measured(
        files, "a", f"{server.url}/a.png", f"{server.url}/endless.png", most_bytes=most_bytes
    )
    whole = most_bytes == len(CONTENT)
    assert [each == "attachment_too_large" for each in found] == [not whole, not whole, True]


async def test_what_may_pass_is_tried_again(tmp_path: Path, server: Server) -> None:
    server.failures = [503, 429]
    files = RowAttachments(tmp_path, None)
    (found,) = await measured(files, f"{server.url}/a.png")
    assert isinstance(found, KeptAttachment)
    assert len(server.asked) == 3


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + b"X"])
async def test_another_content_is_not_read(tmp_path: Path, server: Server, content: bytes) -> None:
    files = RowAttachments(tmp_path, None)
    (tmp_path / "a").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    for address in (f"{server.url}/a.png", str(tmp_path / "b")):
        (tmp_path / "b").write_bytes(CONTENT)
        with pytest.raises(RowError) as caught:
            await files.read(KeptAttachment(address, len(content), sha256))
        assert caught.value.code == "attachment_changed"


async def test_a_planner_that_is_stopped_waits_for_no_file(tmp_path: Path, server: Server) -> None:
    files = RowAttachments(tmp_path, None)
    stopped = asyncio.Event()
    measuring = asyncio.create_task(
        asyncio.to_thread(files.measure, [f"{server.url}/slow.png"], 9, stopped.is_set)
    )
    while not server.asked:
        await asyncio.sleep(0.01)
    stopped.set()
    (found,) = await asyncio.wait_for(measuring, 10)
    assert isinstance(found, RowError)


async def test_only_what_is_allowed_is_read_and_nobody_is_told_what_is_not(
    tmp_path: Path, server: Server
) -> None:
    """Not a private address that a name leads to, nor what an allowed place redirects to."""
    allowed, others = tmp_path / "allowed", tmp_path / "others"
    for folder in (allowed, others):
        folder.mkdir()
        (folder / "a").write_bytes(b"a")
    (allowed / "link").symlink_to(others / "a")
    of = partial(RowAttachments, allowed)
    assert isinstance((await measured(of((str(allowed),)), "a"))[0], KeptAttachment)
    port = server.url.rpartition(":")[2]
    for prefixes, address in [
        ((str(allowed),), str(others / "a")),
        ((str(allowed),), "link"),
        ((str(allowed),), "../others/a"),
        ((str(allowed),), f"{server.url}/a.png"),
        (("https://", "http://"), f"{server.url}/a.png"),
        (("https://", "http://"), f"http://localhost:{port}/a.png"),
        ((f"{server.url}/moved.png",), f"{server.url}/moved.png"),
    ]:
        with pytest.raises(NotAllowed) as caught:
            await measured(of(prefixes), address)
        assert "--allow-source" in str(caught.value)
        assert "a.png" not in str(caught.value)
        assert "others" not in str(caught.value)
        with pytest.raises(NotAllowed):
            await of(prefixes).read(
                KeptAttachment(str(allowed / address), 1, "00")
                if "://" not in address
                else KeptAttachment(address, 1, "00")
            )
    assert server.asked == ["/moved.png"] * 2
    assert isinstance((await measured(of((server.url,)), f"{server.url}/a.png"))[0], KeptAttachment)


def test_relative_paths_begin_beside_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_bytes(b"id\n")
    assert base_of(str(tmp_path / "in.csv")) == tmp_path
    monkeypatch.chdir(tmp_path)
    for address in ("-", "https://example.org/in.csv", "table:1", "a\0b"):
        assert base_of(address) == tmp_path
