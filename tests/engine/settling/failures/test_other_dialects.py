"""What vendors and gateways do in their own way: no row is lost by it, and nothing paid in vain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.engine.answering import Answer, Body, answering, asked, chat, vectors
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work

TEXTS = [f"text {number}" for number in range(20)]


def refused(status: int, **error: Any) -> web.Response:
    return web.json_response({"error": error}, status=status)


@in_virtual_time
async def test_credit_that_runs_out_fails_no_row(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        del body
        message = "Your credit balance is too low to access the API."
        return chat("fine") if number <= 5 else refused(400, message=message)

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat(TEXTS, base_url=server.base_url))

        assert ran.report.exit_code == 5
        assert (ran.report.rows_done, ran.report.rows_failed) == (5, 0)
        assert "credit balance" in str(ran.report.reason)


@in_virtual_time
async def test_a_rate_limit_with_another_status_takes_no_attempt(here: Path) -> None:
    left = [9]

    def answer(body: Body, number: int) -> Answer:
        del number
        if "odd" in asked(body) and left[0]:
            left[0] -= 1
            return refused(500, message="(ThrottlingException) Too many tokens, please wait")
        return chat("fine")

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat([*TEXTS, "odd"], base_url=server.base_url))

        assert ran.report.exit_code == 0
        assert len(ran.done) == 21


@pytest.mark.parametrize(
    "half",
    [
        {"error": {"code": 502, "message": "gone"}, **chat("half an", None)},
        {"error": {"code": 502, "message": "gone"}, **chat("", None)},
    ],
)
@in_virtual_time
async def test_a_part_of_an_answer_with_an_error_is_no_result(here: Path, half: Answer) -> None:
    def answer(body: Body, number: int) -> Answer:
        del number
        return half if "odd" in asked(body) else chat("fine")

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat([*TEXTS, "odd"], base_url=server.base_url))

        assert ran.report.exit_code == 3
        assert ran.failed == {20: ("502", 6)}
        assert ran.errors[0]["message"] == "gone"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"id": "c1", "choices": [{"message": {"content": "cut', "cannot be read"),
        (b'{"message": {"content": "an"}}\n{"message": {"content": "answer"}}', "cannot be read"),
        (b"\x1f\x8bnot what it seems", "not a JSON object"),
    ],
)
@in_virtual_time
async def test_answers_that_all_cannot_be_read_end_the_run_soon(
    here: Path, body: bytes, said: str
) -> None:
    async with open_work(here) as work, answering(lambda asked, number: body) as server:
        ran = await work.run(work.chat(TEXTS, base_url=server.base_url))

        assert ran.report.exit_code == 2
        assert said in str(ran.report.reason)
        assert len(server) <= 6
        assert ran.report.rows_failed == 0


@in_virtual_time
async def test_answers_that_all_break_off_end_the_run_soon(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        del body, number
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat(TEXTS, base_url=server.base_url))

        assert ran.report.exit_code == 2
        assert "Content-Encoding" in str(ran.report.reason)
        assert len(server) <= 6


@pytest.mark.parametrize("rows", [3, 20])
@in_virtual_time
async def test_labels_are_found_where_the_schema_is_refused(here: Path, rows: int) -> None:
    def answer(body: Body, number: int) -> Answer:
        del number
        if "response_format" in body:
            return refused(400, message="This response_format type is unavailable now")
        return chat("Beta")

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.classify(TEXTS[:rows], base_url=server.base_url))

        assert ran.report.exit_code == 0
        assert {record["label"] for record in ran.records} == {"beta"}


@in_virtual_time
async def test_a_prompt_that_azure_filters_is_its_dead_letter_at_once(here: Path) -> None:
    filtered = {"hate": {"filtered": True, "severity": "high"}}
    empty = {
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filtered}],
    }

    def answer(body: Body, number: int) -> Answer:
        del number
        return empty if "odd" in asked(body) else chat("fine")

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat([*TEXTS, "odd"], base_url=server.base_url))

        assert ran.failed == {20: ("content_filter", 1)}
        assert server.about("odd") == 1


@in_virtual_time
async def test_an_error_in_place_of_one_vector_is_told(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        del number
        good = vectors(body)
        for item in good["data"]:
            if item["embedding"][0] == 7.0:
                del item["embedding"]
                item["error"] = {"code": 400, "message": "this text is no text"}
        return good

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.embed(TEXTS, base_url=server.base_url))

        assert ran.failed == {7: ("refused", 1)}
        assert "this text is no text" in ran.errors[0]["message"]


@pytest.mark.parametrize("usage", [{"prompt_tokens": 0, "completion_tokens": 0}, {}, None])
@in_virtual_time
async def test_a_usage_of_nothing_is_none(here: Path, usage: object) -> None:
    async with (
        open_work(here) as work,
        answering(lambda body, number: {**chat("some words here"), "usage": usage}) as server,
    ):
        ran = await work.run(work.chat(TEXTS[:1], base_url=server.base_url))

        assert ran.report.requests_unstated == 1
        assert ran.report.prompt_tokens > 0
        assert ran.report.completion_tokens > 0


@pytest.mark.parametrize("bad", [1, 2, 12])
@in_virtual_time
async def test_the_last_rows_are_told_from_an_outage_by_what_was_answered(
    here: Path, bad: int
) -> None:
    def answer(body: Body, number: int) -> Answer:
        del number
        return refused(500, message="boom") if "odd" in asked(body) else chat("fine")

    async with open_work(here) as work, answering(answer) as server:
        odd = [f"odd {number}" for number in range(bad)]
        ran = await work.run(work.chat([*TEXTS, *odd], base_url=server.base_url))

        assert ran.report.exit_code == 3
        assert ran.failed == {20 + number: ("http_500", 6) for number in range(bad)}
        assert ran.report.doubt_requests <= 8  # what was answered, sent once more to see
        assert work.now() < 1000 + 400


@in_virtual_time
async def test_an_outage_of_the_last_rows_is_still_one(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        del body
        return chat("fine") if number <= 20 else refused(503, message="down")

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat([*TEXTS, "odd"], base_url=server.base_url))

        assert ran.report.exit_code == 5
        assert (ran.report.rows_done, ran.report.rows_failed) == (20, 0)
