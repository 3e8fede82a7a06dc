"""Answers that are paid for: kept where they can be, told, and not paid for without end."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.engine.answering import Answer, Body, answering, asked, chat, vectors
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import (
    LABELS,
    nothing_written,
    numbered,
    open_work,
    state_of,
)

ADVICE = "raise --max-tokens"


# --- why answers end ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "record", "failed", "times"),
    [
        ("stop", {"output": "half"}, None, 1),
        ("STOP", {"output": "half"}, None, 1),
        (None, {"output": "half"}, None, 1),
        ("MAX_TOKENS", {"output": "half", "finish_reason": "length"}, None, 1),
        ("model_length", {"output": "half", "finish_reason": "length"}, None, 1),
        ("repetition", {"output": "half", "finish_reason": "repetition"}, None, 1),
        ("SAFETY", None, ("content_filter", 1), 1),
        ("error", None, ("broken_off", 6), 6),
        ("abort", None, ("broken_off", 6), 6),
        ("insufficient_system_resource", None, ("broken_off", 6), 6),
    ],
)
@in_virtual_time
async def test_an_end_is_a_result_that_says_so_or_a_failure(
    here: Path,
    reason: str | None,
    record: dict[str, Any] | None,
    failed: tuple[str, int] | None,
    times: int,
) -> None:
    def answer(body: Body, _: int) -> Answer:
        return chat("half", reason) if "odd" in asked(body) else chat("whole")

    async with open_work(here) as work, answering(answer) as requests:
        texts = ["one", "odd", "three"]
        ran = await work.run(work.chat(texts, base_url=requests.base_url))

        assert ran.failed == ({} if failed is None else {1: failed})
        got = [{k: v for k, v in r.items() if k != "id"} for r in ran.records if r["row"] == 1]
        assert got == ([] if record is None else [{"row": 1, **record}])
        assert requests.about("odd") == times
        assert len(requests) == times + 2
        assert ran.report.completion_tokens == 5 * len(requests)


@in_virtual_time
async def test_a_provider_that_breaks_every_answer_off_stops_the_job(here: Path) -> None:
    async with open_work(here) as work, answering(lambda *_: chat("half", "error")) as requests:
        ran = await work.run(work.chat(numbered(50), base_url=requests.base_url))

        assert (ran.report.exit_code, ran.report.status) == (2, "stopped")
        assert "ended the answer early: error" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert len(requests) <= 12
        assert ran.report.completion_tokens == 5 * len(requests)


@pytest.mark.parametrize("content", [None, "half"])
@pytest.mark.parametrize("rows", [["odd"], ["odd", "odd too"], ["a", "b", "c", "odd"]])
@in_virtual_time
async def test_rows_that_never_get_an_answer_are_paid_six_times_at_most(
    here: Path, rows: list[str], content: str | None
) -> None:
    """Also where nobody is left to succeed beside them: they were answered, that is no outage."""
    reason = "stop" if content is None else "error"

    def answer(body: Body, _: int) -> Answer:
        return chat(content, reason) if "odd" in asked(body) else chat("whole")

    async with open_work(here) as work, answering(answer) as requests:
        began = work.now()
        spec = work.chat(rows, base_url=requests.base_url, concurrency=1)
        ran = await work.run(spec)

        code = "no_content" if content is None else "broken_off"
        odd = [row for row, text in enumerate(rows) if "odd" in text]
        assert ran.failed == dict.fromkeys(odd, (code, 6))
        assert len(requests) == len(rows) + 5 * len(odd)
        assert work.now() - began < 30


# --- nothing at the limit -------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, "", "\n"])
@pytest.mark.parametrize("kind", ["chat", "classify"])
@in_virtual_time
async def test_when_no_answer_begins_before_the_limit_the_job_stops(
    here: Path, content: str | None, kind: str
) -> None:
    async with open_work(here) as work, answering(lambda *_: chat(content, "length")) as requests:
        make = work.chat if kind == "chat" else work.classify
        spec = make(numbered(40), base_url=requests.base_url, max_tokens=300)
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (2, "stopped")
        assert ADVICE in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert len(requests) == 10
        assert ran.report.doubt_requests == 0
        assert ran.report.completion_tokens == 50
        assert nothing_written(work)
        assert (await state_of(work, ran)).startswith("paused: ")


@in_virtual_time
async def test_a_few_such_rows_are_dead_letters_that_are_paid_once(here: Path) -> None:
    async with open_work(here) as work, answering(lambda *_: chat(None, "length")) as requests:
        ran = await work.run(work.chat(numbered(9), base_url=requests.base_url))

        assert ran.report.exit_code == 3
        assert ran.failed == dict.fromkeys(range(9), ("cut_off", 1))
        assert all(ADVICE in error["message"] for error in ran.errors)
        assert len(requests) == 9


@in_virtual_time
async def test_such_rows_among_others_are_dead_letters_at_once(here: Path) -> None:
    def answer(body: Body, _: int) -> Answer:
        return chat(None, "length") if "hard" in asked(body) else chat("whole")

    async with open_work(here) as work, answering(answer) as requests:
        texts = [*numbered(5, "hard"), *numbered(5), *numbered(30, "hard")]
        ran = await work.run(work.chat(texts, base_url=requests.base_url))

        assert ran.done == list(range(5, 10))
        assert set(ran.failed.values()) == {("cut_off", 1)}
        assert len(requests) == 40


# --- reasoning, parts -----------------------------------------------------------------------------


@in_virtual_time
async def test_content_in_parts_is_read_and_reasoning_alone_is_told(here: Path) -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

    def answer(body: Body, _: int) -> Answer:
        if "alone" in asked(body):
            return chat("", reasoning_content="The answer is yes.")
        return chat([thinking, {"type": "text", "text": "y"}, {"type": "text", "text": "es"}])

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.chat(["one", "alone", "three"], base_url=requests.base_url))

        assert [record["output"] for record in ran.records] == ["yes", "yes"]
        assert ran.failed == {1: ("no_answer", 3)}
        assert ran.report.exit_code == 3


@in_virtual_time
async def test_reasoning_alone_as_every_answer_stops_the_job(here: Path) -> None:
    async with (
        open_work(here) as work,
        answering(lambda *_: chat(None, reasoning="The answer is yes.")) as requests,
    ):
        ran = await work.run(work.chat(numbered(30), base_url=requests.base_url))
        assert (ran.report.exit_code, ran.report.rows_failed) == (2, 0)
        assert "gave no answer" in (ran.report.reason or "")
        assert "response_format" not in (ran.report.reason or "")
        assert len(requests) == 20


@in_virtual_time
async def test_tool_calls_are_results_where_tools_were_asked_for(here: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}

    async with (
        open_work(here) as work,
        answering(lambda *_: chat(None, "tool_calls", tool_calls=[call])) as requests,
    ):
        tools = {"tools": [{"type": "function", "function": {"name": "f"}}]}
        spec = work.chat(numbered(2), base_url=requests.base_url, params=tools)
        ran = await work.run(spec)
        assert [record["tool_calls"] for record in ran.records] == [[call], [call]]
        assert not any("finish_reason" in record for record in ran.records)
        await work.run(spec, output="out.csv")
        rows = list(csv.DictReader((here / "out.csv").read_text().splitlines()))
        assert json.loads(rows[0]["tool_calls"]) == [call]


# --- bytes that are nearly JSON -------------------------------------------------------------------

_WHOLE = json.dumps(chat("TEXT")).encode()
SPOILT = {
    "a half of an emoji": (_WHOLE.replace(b"TEXT", rb"Hooray \ud83c"), "Hooray \ufffd"),
    "raw control characters": (_WHOLE.replace(b"TEXT", b"a\x01b\nc"), "a\x01b\nc"),
    "latin-1": (_WHOLE.replace(b"TEXT", b"caf\xe9"), "caf\ufffd"),
    "nan": (
        _WHOLE.replace(b'"index": 0', b'"index": 0, "logprobs": {"x": [NaN, -Infinity]}'),
        "TEXT",
    ),
    "a large integer": (
        _WHOLE.replace(b'"id": "c1"', b'"id": "\x01", "seed": %s' % (b"9" * 80)),
        "TEXT",
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + _WHOLE, "TEXT"),
    "comments": (b": PROCESSING\n\n: PROCESSING\n\n" + _WHOLE, "TEXT"),
    "something behind it": (_WHOLE + b"\n\ndata: [DONE]\n\n", "TEXT"),
    "a text of JSON": (json.dumps(_WHOLE.decode()).encode(), "TEXT"),
    "a quote that is escaped": (_WHOLE.replace(b"TEXT", rb"it\'s"), "it's"),
    "an escape that is none": (_WHOLE.replace(b"TEXT", rb"it\xs"), r"it\xs"),
}


@in_virtual_time
async def test_an_answer_that_is_nearly_json_is_kept_and_written_to_every_output(
    here: Path,
) -> None:
    bodies = {name: raw for name, (raw, _) in SPOILT.items()}
    expected = [text for _, text in SPOILT.values()]

    async with (
        open_work(here, database="b.db") as work,
        answering(lambda body, _: bodies[asked(body)]) as requests,
    ):
        spec = work.chat(list(SPOILT), base_url=requests.base_url)
        ran = await work.run(spec)
        assert [record["output"] for record in ran.records] == expected
        assert len(requests) == len(SPOILT)
        assert ran.report.doubt_requests == 0
        assert ran.report.completion_tokens == 5 * len(SPOILT)

        await work.run(spec, output="out.parquet")
        assert pq.read_table(here / "out.parquet")["output"].to_pylist() == expected
        await work.run(spec, output="out.csv")
        with (here / "out.csv").open(newline="") as file:
            assert [row["output"] for row in csv.DictReader(file)] == expected


@pytest.mark.parametrize("database", ["memory://", "b.db"])
@in_virtual_time
async def test_a_refusal_with_half_an_emoji_is_a_dead_letter(here: Path, database: str) -> None:
    raw = json.dumps(chat(None, refusal="no \ud83c\x00")).encode()

    async with (
        open_work(here, database=database) as work,
        answering(lambda body, _: raw if "odd" in asked(body) else chat("whole")) as requests,
    ):
        ran = await work.run(work.chat(["one", "odd"], base_url=requests.base_url))
        assert [error["message"] for error in ran.errors] == ["the model refused: no \ufffd\ufffd"]


@in_virtual_time
async def test_a_vector_of_nan_costs_its_neighbours_nothing(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        raw = json.dumps(vectors(body)).encode()
        return raw.replace(b"[2.0", b"[NaN") if number == 1 else raw

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.embed(numbered(5), base_url=requests.base_url))
        assert [record["embedding"] for record in ran.records] == [[n, 1.0] for n in range(5)]
        assert [len(body["input"]) for body in requests.bodies] == [5, 1]


# --- all of it ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
@in_virtual_time
async def test_whatever_comes_is_counted_and_each_row_ends_once(here: Path, seed: int) -> None:
    """Rows that get any mixture of answers: their own label, or what is no result."""
    chance = Random(seed)
    no_results: list[Answer] = [
        chat("delta"),
        chat(None, "length"),
        chat("alpha", "error"),
        chat("", "SAFETY"),
        chat(None),
        json.dumps(chat("delta \ud83c")).encode(),
    ]
    rows = chance.choice([3, 30, 90])
    likely = chance.choice([0.0, 0.1, 0.5, 0.9])

    def answer(body: Body, _: int) -> Answer:
        if chance.random() < likely:
            return chat(LABELS.split(",")[int(asked(body).split()[-1]) % 3])
        return chance.choice(no_results)

    async with open_work(here) as work, answering(answer) as requests:
        spec = work.classify(numbered(rows), base_url=requests.base_url, concurrency=8)
        ran = await work.run(spec)

        report = ran.report
        assert report.exit_code in (0, 2, 3)
        assert report.rows_done + report.rows_failed + report.rows_left == rows
        assert report.requests == len(requests)
        assert report.prompt_tokens == 10 * len(requests)
        assert report.completion_tokens == 5 * len(requests)
        if report.exit_code == 2:
            assert (report.rows_done, ran.records) == (0, [])
            assert len(requests) <= 40
        else:
            assert sorted([*ran.done, *ran.failed]) == list(range(rows))
        for record in ran.records:
            assert record["label"] == LABELS.split(",")[record["row"] % 3]
        assert sum(attempts for _, attempts in ran.failed.values()) <= len(requests)
