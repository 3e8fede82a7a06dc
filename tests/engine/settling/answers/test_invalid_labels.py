"""Labels that no schema enforces: found, asked for again, and when a job stops for want of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.answering import Answer, Body, answering, asked, chat
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import (
    CANARY_KEY,
    nothing_written,
    numbered,
    open_work,
)

# --- labels ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_labels_are_found_where_no_schema_is_enforced(here: Path) -> None:
    contents = [
        '```json\n{"label": "beta"}\n```',
        "<think>alpha?</think>\nbeta",
        "Sure: {'label': 'Beta',}",
        "ＢＥＴＡ",
        "**Label:** beta",
    ]

    async with (
        open_work(here) as work,
        answering(lambda body, _: chat(contents[int(asked(body)[-1])])) as requests,
    ):
        ran = await work.run(work.classify(numbered(5), base_url=requests.base_url))
        assert [record["label"] for record in ran.records] == ["beta"] * 5
        assert len(requests) == 5


@pytest.mark.parametrize("concurrency", [1, 100])
@pytest.mark.parametrize("rows", [7, 20, 200])
@in_virtual_time
async def test_when_the_first_twenty_answers_are_invalid_the_job_stops_with_an_example(
    here: Path, rows: int, concurrency: int
) -> None:
    said = f"I think\x1b[31m it is {CANARY_KEY} " + "x" * 500
    enforced = False

    def answer(*_: object) -> Answer:
        return chat('{"label": "alpha"}' if enforced else said)

    async with open_work(here) as work, answering(answer) as requests:
        spec = work.classify(
            numbered(rows), base_url=requests.base_url, concurrency=concurrency, rpm=60_000
        )
        ran = await work.run(spec)

        assert (ran.report.exit_code, ran.report.status) == (2, "stopped")
        reason = ran.report.reason or ""
        assert "first 20 answers" in reason
        assert "I think" in reason
        assert CANARY_KEY not in reason
        assert reason.isprintable()
        assert len(reason) < 500
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert len(requests) == 20
        assert (ran.report.prompt_tokens, ran.report.completion_tokens) == (200, 100)
        assert ran.report.doubt_requests == 0
        assert nothing_written(work)

        enforced = True  # the server was mended: the same command goes on
        ran = await work.run(spec)
        assert ran.done == list(range(rows))
        assert len(requests) == 20 + rows


@in_virtual_time
async def test_a_few_rows_that_are_invalid_end_as_dead_letters(here: Path) -> None:
    async with open_work(here) as work, answering(lambda *_: chat("delta")) as requests:
        ran = await work.run(work.classify(numbered(6), base_url=requests.base_url))

        assert ran.report.exit_code == 3
        assert ran.failed == dict.fromkeys(range(6), ("invalid_output", 3))
        assert len(requests) == 18


@in_virtual_time
async def test_rows_that_were_invalid_before_the_first_label_are_dead_letters_after_it(
    here: Path,
) -> None:
    def answer(body: Body, _: int) -> Answer:
        return chat("delta" if int(asked(body).split()[-1]) < 6 else "alpha")

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.classify(numbered(30), base_url=requests.base_url))

        assert ran.failed == dict.fromkeys(range(6), ("invalid_output", 3))
        assert ran.done == list(range(6, 30))
        assert len(requests) == 3 * 6 + 24


@in_virtual_time
async def test_repairs_that_work_are_no_reason_to_stop(here: Path) -> None:
    """A model that names no label at first, and one when it is told."""

    def answer(body: Body, _: int) -> Answer:
        return chat("alpha" if len(body["messages"]) > 2 else "It is hard to say")

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.classify(numbered(60), base_url=requests.base_url))

        assert ran.done == list(range(60))
        assert len(requests) == 120
