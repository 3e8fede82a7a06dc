"""An answer that is larger than what the request can need: that request's failure, for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.providers.http import HttpProvider, open_provider
from batcher.engine.byte_room import ByteRoom
from batcher.ports import Reply
from tests.adapters.providers.raw_server import CHUNKED, Peer, chunk, raw_server
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work


def poisoned(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[list[str]]:
    """Requests with one of these words are answered without an end; returns the texts of those."""
    lost: list[list[str]] = []
    post = HttpProvider.post

    async def endless(peer: Peer) -> None:
        await peer.request()
        peer.write(CHUNKED % (b"200 OK", b""))
        while True:
            peer.write(chunk(b" " * 2**16))
            await peer.writer.drain()

    async def choose(
        self: HttpProvider, path: str, body: bytes, request_id: str, **more: Any
    ) -> Reply:
        asked = json.loads(body)
        texts = asked.get("input") or [message["content"] for message in asked["messages"]]
        if not any(word in text for word in words for text in texts):
            return await post(self, path, body, request_id, **more)
        lost.append(texts)
        async with (
            raw_server(endless) as url,
            open_provider(
                url, headers={}, query={}, timeout_seconds=60.0, connections=1
            ) as provider,
        ):
            return await post(provider, "/x", body, request_id, **more)

    monkeypatch.setattr(HttpProvider, "post", choose)
    return lost


@in_virtual_time
async def test_a_row_whose_answer_has_no_end_is_a_dead_letter_after_one_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = poisoned(monkeypatch, "endless")
    async with open_work(tmp_path) as work:
        ran = await work.run(work.chat(["a", "endless", "b"], concurrency=1))
    assert ran.done == [0, 2]
    assert ran.failed == {1: ("answer_too_large", 1)}
    assert len(lost) == 1
    assert "--max-answer-bytes" in ran.errors[0]["message"]
    assert (ran.report.doubt_requests, ran.report.doubt_inputs) == (1, 1)


@in_virtual_time
async def test_a_request_of_many_rows_is_halved_until_the_row_is_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = poisoned(monkeypatch, "endless")
    async with open_work(tmp_path) as work:
        ran = await work.run(work.embed(["a", "b", "endless", "d"]))
    assert ran.done == [0, 1, 3]
    assert ran.failed == {2: ("answer_too_large", 1)}
    assert [len(texts) for texts in lost] == [4, 2, 1]


@in_virtual_time
async def test_where_every_answer_is_too_large_the_job_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = poisoned(monkeypatch, "")
    async with open_work(tmp_path) as work:
        report = await work.runner.run(work.chat([f"row {number}" for number in range(40)]))
    assert report.exit_code == 2
    assert "--max-answer-bytes" in (report.reason or "")
    assert report.rows_failed == 0
    assert len(lost) < 20


@in_virtual_time
async def test_the_users_own_limit_counts(tmp_path: Path) -> None:
    async with open_work(tmp_path, dimensions=1_000) as work:
        ran = await work.run(work.embed(["a", "b"], max_answer_bytes=12_000))
        assert ran.done == [0, 1]
        assert work.stats.requests == 1
        ran = await work.run(work.embed(["c", "d"], max_answer_bytes=10_000))
        assert ran.done == [0, 1]
        assert work.stats.requests == 1 + 3
    assert ran.report.doubt_requests == 1


@in_virtual_time
async def test_all_memory_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    poisoned(monkeypatch, "endless")
    rooms: list[ByteRoom] = []
    begin = ByteRoom.__init__

    def noting(self: ByteRoom, *more: Any) -> None:
        begin(self, *more)
        rooms.append(self)

    monkeypatch.setattr(ByteRoom, "__init__", noting)
    async with open_work(tmp_path, dimensions=1_536) as work:
        await work.run(work.embed([f"row {number}" for number in range(900)]))
        spec = work.chat(["a", "endless", "[[fault=hang*1]]"], timeout=5)
        await work.run(spec, overwrite=True)
    assert rooms
    assert all(room.used_bytes == 0 for room in rooms)
