"""Vectors under wrong indexes, or too few of them: never a row's own fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.answering import Answer, Body, answering, vectors
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import (
    nothing_written,
    numbered,
    open_work,
    read_lines,
)

# --- indexes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [None, 0, 1, "1", 7])
@pytest.mark.parametrize(("rows", "max_inputs"), [(1, 1), (32, 2048), (300, 10)])
@in_virtual_time
async def test_indexes_that_are_wrong_stop_the_job_and_null_is_the_place(
    here: Path, index: Any, rows: int, max_inputs: int
) -> None:
    def answer(body: Body, _: int) -> Answer:
        if index in (None, 0):
            return vectors(body, lambda place: index)
        return vectors(body, lambda place: place + int(index))

    async with open_work(here) as work, answering(answer) as requests:
        spec = work.embed(numbered(rows), base_url=requests.base_url, max_inputs=max_inputs)
        ran = await work.run(spec)

        if index is None or (rows == 1 and index == 0):
            assert [record["embedding"][0] for record in ran.records] == list(range(rows))
            assert len(requests) == -(-rows // max_inputs)
            return
        assert (ran.report.exit_code, ran.report.status) == (2, "stopped")
        assert "nobody can tell which text" in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert len(requests) == 6
        assert ran.report.doubt_requests == 6
        assert nothing_written(work)


@in_virtual_time
async def test_indexes_that_become_wrong_stop_the_job_soon_and_keep_what_is_done(
    here: Path,
) -> None:
    wrong = True

    def answer(body: Body, number: int) -> Answer:
        return vectors(body, lambda place: place + (wrong and number > 4))

    async with open_work(here) as work, answering(answer) as requests:
        spec = work.embed(numbered(200), base_url=requests.base_url, max_inputs=10, concurrency=2)
        ran = await work.run(spec)
        assert (ran.report.exit_code, ran.report.rows_done) == (2, 40)
        assert len(requests) <= 4 + 7

        wrong = False
        ran = await work.run(spec)
        assert [record["embedding"][0] for record in ran.records] == list(range(200))


@in_virtual_time
async def test_one_of_two_backends_that_numbers_wrongly_costs_no_row(here: Path) -> None:
    def answer(body: Body, number: int) -> Answer:
        return vectors(body, lambda place: 0 if number % 2 else place)

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.embed(numbered(100), base_url=requests.base_url, max_inputs=10))
        assert [record["embedding"][0] for record in ran.records] == list(range(100))
        assert ran.report.exit_code == 0


@in_virtual_time
async def test_a_server_that_embeds_the_first_text_alone_stops_the_job(here: Path) -> None:
    async with (
        open_work(here) as work,
        answering(lambda body, _: vectors({"input": body["input"][:1]})) as requests,
    ):
        spec = work.embed(numbered(60), base_url=requests.base_url, max_inputs=10)
        ran = await work.run(spec)
        assert (ran.report.exit_code, ran.report.rows_failed) == (2, 0)
        assert "--max-inputs 1 " in (ran.report.reason or "")
        assert len(requests) <= 11
        ran = await work.run(work.embed(numbered(60), base_url=requests.base_url, max_inputs=1))
        assert [record["embedding"][0] for record in ran.records] == list(range(60))


@in_virtual_time
async def test_fewer_vectors_than_texts_are_nobody_s(here: Path) -> None:
    """A server that leaves a text out and numbers the others anew, once."""

    def answer(body: Body, number: int) -> Answer:
        if number > 1:
            return vectors(body)
        return vectors({"input": [text for text in body["input"] if text != "row 3"]})

    async with open_work(here) as work, answering(answer) as requests:
        ran = await work.run(work.embed(numbered(9), base_url=requests.base_url))
        assert [record["embedding"][0] for record in ran.records] == list(range(9))
        assert len(requests) == 2
        assert read_lines(here / "out.jsonl") == ran.records
