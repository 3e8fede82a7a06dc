"""Files that go with rows: in the body and in no plan, found by content, a row's own fault."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64decode
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batcher.core.job.spec import JobSpec
from tests.engine.answering import Body, answering
from tests.engine.fleet.crew import completed, worker
from tests.engine.kinds.installing import install_kind
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, audit, cut_off, open_work

Rows = Mapping[str, Sequence[str]]
"""Their texts, and their files."""

SECRET = b"what no plan holds"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install_kind(monkeypatch, "filing", "tests.engine.kinds.filing_kind")


def job(work: Work, base_url: str, rows: Rows, **settings: Any) -> JobSpec:
    path = work.path("filing.jsonl")
    path.write_text(
        "".join(
            json.dumps({"id": text, "text": text, "files": list(files)}) + "\n"
            for text, files in rows.items()
        )
    )
    options = {"text": "text", **settings.pop("options", {})}
    return work.kind("filing", str(path), options, base_url=base_url, **settings)


def contents(body: Body) -> list[list[bytes]]:
    return [[b64decode(url.partition(",")[2]) for url in files] for files in body["files"]]


def echo(body: Body, _: int = 0) -> dict[str, Any]:
    return {
        "answers": [b"+".join(files).decode() for files in contents(body)],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3},
    }


@in_virtual_time
async def test_a_body_has_its_rows_files(here: Path) -> None:
    """Beside the input, by a link, by an absolute path, many, one for many rows, and none."""
    (here / "a.txt").write_bytes(b"A")
    (here / "b.png").write_bytes(b"B")
    (here / "link.txt").symlink_to(here / "a.txt")
    rows = {"one": ["a.txt"], "both": ["link.txt", str(here / "b.png")], "none": []}
    async with answering(echo) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, rows))
        assert [record["answer"] for record in ran.records] == ["A", "A+B", ""]
        (both,) = [body for body in asked.bodies if body["texts"] == ["both"]]
        types = [url.partition(";")[0] for url in both["files"][0]]
        assert types == ["data:text/plain", "data:image/png"]
        audit(work, ran.report)


@in_virtual_time
async def test_no_plan_holds_what_is_in_a_file(here: Path) -> None:
    (here / "a.txt").write_bytes(SECRET)
    async with (
        answering(echo) as asked,
        open_work(here, database=f"sqlite:///{here}/batcher.db") as work,
    ):
        gate = asyncio.Event()
        spec = job(work, asked.base_url, {"one": ["a.txt"]}, concurrency=1)
        preview = await work.runner.preview(spec)
        assert contents(json.loads(preview.requests[0].body)) == [[SECRET]]
        submitted = await work.runner.submit(spec)
        del gate
        held = b"".join(path.read_bytes() for path in here.glob("batcher.db*"))
        assert SECRET not in held
        assert (await work.runner.status(submitted.job)).rows == 1


@in_virtual_time
async def test_a_file_that_cannot_be_sent_is_its_rows_own_fault(here: Path) -> None:
    (here / "good.txt").write_bytes(b"good")
    (here / "long.txt").write_bytes(b"x" * 1_001)
    (here / "most.txt").write_bytes(b"x" * 1_000)
    (here / "folder").mkdir()
    os.mkfifo(here / "pipe")
    rows = {
        "gone": ["gone.txt"],
        "long": ["good.txt", "long.txt"],
        "most": ["most.txt"],
        "folder": ["folder"],
        "pipe": ["pipe"],
        "zero": ["a\0b"],
        "scheme": ["file:///etc/passwd"],
        "good": ["good.txt"],
    }
    async with answering(echo) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, rows))
        assert {error["id"]: error["code"] for error in ran.errors} == {
            "long": "attachment_too_large",
            **dict.fromkeys(["gone", "folder", "pipe", "zero", "scheme"], "attachment_missing"),
        }
        assert [record["id"] for record in ran.records] == ["most", "good"]
        assert not any(name in error["message"] for error in ran.errors for name in rows)


@pytest.mark.parametrize("together", [1, 3])
@in_virtual_time
async def test_a_file_that_changed_since_it_was_planned_is_not_sent(
    here: Path, together: int
) -> None:
    """Nor one that is gone; what shares a request with it goes without it."""
    for name in "abcd":
        (here / f"{name}.txt").write_bytes(name.encode() * 5)
    rows = {name: [f"{name}.txt"] for name in "abcd"}
    async with answering(echo) as asked, open_work(here, database=f"{here}/b.db") as work:
        spec = job(work, asked.base_url, rows, options={"together": together})
        submitted = await work.runner.submit(spec)
        (here / "a.txt").write_bytes(b"other")
        (here / "b.txt").unlink()
        ran = await work.run(spec)
        assert ran.report.job == submitted.job
        assert {error["id"]: error["code"] for error in ran.errors} == {
            "a": "attachment_changed",
            "b": "attachment_missing",
        }
        assert [record["answer"] for record in ran.records] == ["ccccc", "ddddd"]
        assert not any(b"other" in one for body in asked.bodies for one in contents(body)[0])

        (here / "a.txt").write_bytes(b"aaaaa")
        again = await work.runner.retry(ran.report.job)
        del again
        ran = await work.run(spec)
        assert [record["id"] for record in ran.records] == ["a", "c", "d"]


@in_virtual_time
async def test_rows_are_found_again_by_what_is_in_their_files(here: Path) -> None:
    for name in "abc":
        (here / f"{name}.txt").write_bytes(name.encode())
    rows = {name: [f"{name}.txt"] for name in "abc"}
    async with answering(echo) as asked, open_work(here) as work:
        settings: dict[str, Any] = {"name": "nightly", "since_last": True}
        await work.run(job(work, asked.base_url, rows, **settings))
        asked.bodies.clear()
        (here / "b.txt").write_bytes(b"B")
        (here / "moved.txt").write_bytes(b"c")
        moved = {**rows, "c": ["moved.txt"]}
        ran = await work.run(job(work, asked.base_url, moved, **settings), overwrite=True)
        assert [body["texts"] for body in asked.bodies] == [["b"]]
        assert [record["answer"] for record in ran.records] == ["a", "B", "c"]


@in_virtual_time
async def test_what_a_file_is_billed_as_is_in_the_estimate_and_in_the_budget(here: Path) -> None:
    (here / "a.txt").write_bytes(b"x" * 900)
    settings: dict[str, Any] = {"price": "100000,0", "service_tier": "default"}
    async with answering(echo) as asked, open_work(here) as work:
        spec = job(work, asked.base_url, {"one": ["a.txt"]}, **settings)
        estimate = await work.runner.estimate(spec)
        assert 900 <= estimate.prompt_tokens <= 910
        ran = await work.run(job(
            work, asked.base_url, {"one": ["a.txt"]}, max_cost=Decimal(90), **settings
        ))  # fmt: skip
        assert (ran.report.exit_code, len(asked)) == (4, 0)


@in_virtual_time
async def test_a_form_is_sent_as_one(here: Path) -> None:
    (here / 'a "b".wav').write_bytes(b"\r\n--\0 sound")
    seen: list[tuple[str, Any]] = []

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, web.Request)
        form = await request.post()
        for name, value in form.items():
            if isinstance(value, web.FileField):
                told = (value.filename, value.content_type, value.file.read())
                seen.append((name, told))
            else:
                seen.append((name, value))
        return web.json_response({"answers": ["heard"], "usage": {"prompt_tokens": 1}})

    app = web.Application()
    app.router.add_post("/v1/files", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with open_work(here) as work:
            spec = job(
                work, f"http://{host}:{port}/v1", {"one": ['a "b".wav']},
                options={"form": True}, params={"temperature": 0.5},
            )  # fmt: skip
            ran = await work.run(spec)
            assert [record["answer"] for record in ran.records] == ["heard"]
            preview = await work.runner.preview(spec)
            shown = json.loads(preview.requests[0].body)
            assert (shown["file"]["name"], shown["file"]["bytes"]) == ('a "b".wav', 11)
    finally:
        await runner.cleanup()
    (name, (filename, kind, content)) = seen.pop()
    assert (name, filename.replace("%22", '"'), content) == (
        "file", 'a "b".wav', b"\r\n--\0 sound",
    )  # fmt: skip
    assert kind in ("audio/x-wav", "audio/wav")
    assert seen == [
        ("prompt", "one"),
        ("kinds", "word"),
        ("kinds", "line"),
        ("model", "gpt-4o-mini"),
        ("temperature", "0.5"),
    ]


@in_virtual_time
async def test_a_job_that_was_cut_off_goes_on_with_the_same_files(here: Path) -> None:
    """In a worker, which has the plan and reaches the files."""
    database = f"sqlite:///{here}/batcher.db"
    for number in range(12):
        (here / f"{number}.txt").write_bytes(f"file {number}".encode())
    rows = {f"t{number}": [f"{number}.txt"] for number in range(12)}

    def answer(body: Body, count: int) -> Any:
        return echo(body) if count > 3 else web.Response(status=503)

    async with answering(answer) as asked, open_work(here, database=database) as work:
        spec = job(work, asked.base_url, rows, concurrency=3)
        await cut_off(work, spec, lambda: len(asked) >= 3)
        async with worker(database):
            (listed,) = await work.runner.jobs()
            ran = await completed(work, listed.job)
        assert [record["answer"] for record in ran.records] == [
            f"file {number}" for number in range(12)
        ]
