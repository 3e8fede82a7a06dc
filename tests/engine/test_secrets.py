"""Keys, prompts and rows reach the errors file and the database at most; keys not even these."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from batcher.core.failures.reading import ProviderError
from batcher.core.failures.verdicts import Backoff, Dead, PauseJob, Refusal, Split
from batcher.core.kind import Broken, Done, Invalid, Refused
from batcher.core.model import DeadLetter, InputRow
from batcher.engine.job.report import Report
from batcher.engine.services import Connection
from batcher.ports import Reply
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CANARY_KEY, Ran, Work, open_work, words

CANARY_ROW = "canary row of nobody else"
FAULTS = ["401_echo", "400", "500", "refusal", "hang", "disconnect", "garbage", "422_vllm", "429"]


def reprs(ran: Ran, work: Work) -> str:
    """What a debugger, an exception group or a careless log would show."""
    return f"{ran.report!r} {work.runner!r} {ran.report.manifest()} {ran.report.to_json()}"


@pytest.mark.parametrize("fault", FAULTS)
@in_virtual_time
async def test_logs_and_reprs_hold_neither_key_nor_row(
    here: Path, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_work(here, latency_ms=100) as work:
        texts = [f"{CANARY_ROW} [[fault={fault}*7]]", *words(40)]
        ran = await work.run(work.chat(texts, timeout=1.0, outage_timeout=100.0))

        assert CANARY_KEY not in caplog.text
        assert CANARY_ROW not in caplog.text
        assert CANARY_KEY not in reprs(ran, work)
        if fault not in {"400", "422_vllm"}:  # these echo the row, and the errors file says so
            assert CANARY_ROW not in reprs(ran, work)
        for path in here.rglob("*"):
            if path.is_file():
                assert CANARY_KEY.encode() not in path.read_bytes()


@in_virtual_time
async def test_a_key_that_is_echoed_is_struck_from_the_reason(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(["[[fault=401_echo]] a"]))

        assert "Received API Key = [key]" in (ran.report.reason or "")


@in_virtual_time
async def test_a_key_in_a_header_is_struck_as_well(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "gateway/token-987654321")
    async with open_work(here) as work:
        spec = work.chat(
            ["[[fault=401_echo]] a"], headers={"Authorization": "Bearer $GATEWAY_TOKEN"}
        )
        ran = await work.run(spec)

        assert "Received API Key = [key]" in (ran.report.reason or "")


@in_virtual_time
async def test_the_errors_file_quotes_at_most_500_characters(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat([*words(3), "[[fault=422_vllm]] a" + " long" * 300]))

        (error,) = ran.errors
        assert 0 < len(error["message"]) <= 500
        assert isinstance(ran.report, Report)


def test_a_connection_shows_no_secret() -> None:
    fields = {field.name: field for field in Connection.__dataclass_fields__.values()}
    assert not any(field.repr for name, field in fields.items() if "secret" in name)


@pytest.mark.parametrize(
    "value",
    [
        Done(CANARY_ROW.encode()),
        Broken("bad", CANARY_ROW),
        Refused("refusal", CANARY_ROW),
        Invalid("invalid", CANARY_ROW, CANARY_ROW),
        Dead("bad", CANARY_ROW),
        Split("bad", CANARY_ROW),
        Backoff("bad", CANARY_ROW),
        Refusal("c", CANARY_ROW, CANARY_ROW, "404 c"),
        PauseJob(CANARY_ROW),
        ProviderError(status=400, code="bad", type="", param=None, message=CANARY_ROW),
        Reply(200, {}, CANARY_ROW.encode()),
        InputRow(number=1, id=1, record={"text": CANARY_ROW}),
        DeadLetter(row=1, chunk=0, id=1, code="bad", message=CANARY_ROW, attempts=1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_hold_content_do_not_show_it(value: object) -> None:
    assert type(value).__name__ in repr(value)
    assert CANARY_ROW not in repr(value)
