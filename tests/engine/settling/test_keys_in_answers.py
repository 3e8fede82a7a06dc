"""A provider that puts the key into every string it has: nobody else hears of it."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batcher.adapters.observability.event_log import EventLog
from batcher.adapters.observability.exposition import expose
from batcher.cli.commands.jobs.errors import describe
from batcher.cli.summary import facts, next_steps
from batcher.core.job.spec import JobSpec
from batcher.ports import Level, RequestFact
from batcher.settings import Settings
from batcher.wiring import open_fleet, open_runner
from tests.core.text.test_redaction import SPELLINGS, leaks
from tests.engine.virtual_time import LoopClock, in_virtual_time

KEY = "Zq7.canary-key:0123456789_ABCDEF"
"""All of its characters may stand in a code, a header and a path."""
BAD = "the row that gets the key"


@dataclass(frozen=True, kw_only=True)
class Faulty:
    """One way to answer a row, with the key said in some spelling."""

    shape: str
    status: int
    said: str
    param: bool = False
    """Whether the error names a parameter: then it is every request's, else the row's own."""

    def reply(self) -> web.Response:
        key = self.said
        names = ("x-request-id", "location", "server", "x-ratelimit-limit-requests", "retry-after")
        headers = {name: key for name in names if "\n" not in key}
        body = json.dumps(self._body())
        if self.shape == "text":
            body = f"{key} is wrong <b>{key}</b>"
        reason = key if key.isprintable() and key.isascii() else None
        status = 200 if self.shape in ("success", "refusal", "garbled") else self.status
        return web.Response(status=status, text=body, headers=headers, reason=reason)

    def _body(self) -> Any:
        key = self.said
        error: dict[str, Any] = {"message": key, "type": key, "code": key, "metadata": {"raw": key}}
        error["param"] = key if self.param else None
        match self.shape:
            case "error":
                return {"error": error}
            case "typed":
                return {"error": {**error, "code": None}}
            case "flat":
                return {"object": "error", **error}
            case "list":
                return [{"error": error}]
            case "detail":
                return {"detail": [{"loc": ["body", key], "msg": key, "type": key}]}
            case "garbled":
                return {"choices": key, "data": key, "model": key, "error": error}
            case "refusal":
                return _completion({"role": key, "content": None, "refusal": f"no: {key}"}, key)
            case _:
                return _completion({"role": key, "content": '{"label": "a"}'}, key)


def _completion(message: Mapping[str, Any], key: str) -> dict[str, Any]:
    choice = {"index": 0, "message": message, "finish_reason": key, "native_finish_reason": key}
    said = dict.fromkeys(("id", "object", "model", "service_tier", "system_fingerprint"), key)
    embedding = base64.b64encode(bytes(16)).decode()
    return {
        **said,
        "choices": [choice],
        "data": [{"object": key, "index": 0, "embedding": embedding}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, key: key},
    }


@asynccontextmanager
async def echoing(faulty: Faulty) -> AsyncIterator[str]:
    """A provider on loopback; rows that are not bad get a good answer."""

    async def answer(request: web.Request) -> web.Response:
        if BAD in await request.text():
            return faulty.reply()
        return web.json_response(_completion({"role": "assistant", "content": '{"label":"a"}'}, ""))

    app = web.Application()
    app.router.add_post("/v1/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


class Spans:
    """A trace that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def request(self, fact: RequestFact) -> None:
        self.told.append(repr(fact))


def job(kind: str, here: Path, base_url: str) -> JobSpec:
    rows = [{"id": f"r{n}", "text": f"good row {n}"} for n in range(3)]
    source = here / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in [*rows, {"id": "b", "text": BAD}]))
    (here / "p.txt").write_text("{{ text }}")
    options: dict[str, dict[str, Any]] = {
        "chat": {"prompt": str(here / "p.txt")},
        "classify": {"text": "text", "labels": "a,b"},
        "embed": {"text": "text"},
    }
    return JobSpec(
        kind=kind, input=str(source), model="m", id="id", base_url=base_url, options=options[kind],
        headers={"X-Gateway": "$GATEWAY_TOKEN"}, tokenizer="o200k_base", max_inputs=1,
        concurrency=1, outage_timeout=60.0,
    )  # fmt: skip


async def everything_told(kind: str, faulty: Faulty, here: Path) -> list[str]:
    """All that a job leaves behind, and all that anybody is shown of it."""
    log, spans = StringIO(), Spans()
    place = Settings(database_url=str(here / "jobs.db"))
    async with (
        echoing(faulty) as base_url,
        open_runner(place, clock=LoopClock(), chance=Random(1)) as runner,
        open_fleet(
            place,
            log=EventLog(Level.DEBUG, "text", stream=log),
            clock=LoopClock(),
            chance=Random(2),
        ) as fleet,
    ):
        fleet.telemetry.trace = spans
        submitted = (await runner.submit(job(kind, here, base_url))).job
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fleet.run())
            while (await runner.status(submitted)).status == "open":
                await asyncio.sleep(0.5)
            metrics = expose(fleet.families())
            fleet.stop()
        output = str(here / "out.jsonl")
        report = await runner.export(submitted, output=output, partial=True)
        shown = [*facts(report), *next_steps(report, command="batcher run")]
        shown += [describe(letter) async for letter in runner.errors(submitted)]
        database = b"".join(path.read_bytes() for path in here.glob("jobs.db*") if path.is_file())
    written = [path for path in here.rglob("*") if path.is_file()]
    files = [path.read_bytes().decode("latin-1") for path in written]
    said = [log.getvalue(), metrics, repr(report), json.dumps(report.to_json()), *spans.told]
    return [*files, database.decode("latin-1"), *shown, *said]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(["chat", "classify", "embed"]),
    shape=st.sampled_from(
        ["success", "refusal", "error", "typed", "flat", "list", "detail", "garbled", "text"]
    ),
    status=st.sampled_from([302, 400, 401, 402, 403, 404, 409, 422, 429, 451, 500, 503]),
    spelling=st.sampled_from(sorted(SPELLINGS)),
    param=st.booleans(),
)
@example(kind="chat", shape="error", status=400, spelling="as it is", param=False)
def test_no_string_of_an_answer_gives_the_key_away(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    shape: str,
    status: int,
    spelling: str,
    param: bool,
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-key-of-the-test")
    caplog.set_level(logging.DEBUG)
    said = SPELLINGS[spelling](KEY)

    @in_virtual_time
    async def told() -> list[str]:
        with tempfile.TemporaryDirectory() as here:
            faulty = Faulty(shape=shape, status=status, said=said, param=param)
            return await everything_told(kind, faulty, Path(here))

    for text in [*told(), caplog.text]:
        assert not leaks(text, KEY)
        assert said.casefold() not in text.casefold()


@in_virtual_time
async def test_what_an_answer_says_to_a_row_is_the_users_to_the_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", 'label": "a"')  # the answer's text holds it
    faulty = Faulty(shape="success", status=200, said="x")
    told = await everything_told("chat", faulty, tmp_path)

    assert any('"output":"{\\"label\\": \\"a\\"}"' in text for text in told)
