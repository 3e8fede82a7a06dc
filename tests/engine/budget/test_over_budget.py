"""A template that asks for too much: one row's dead letter, or the end of the job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from batcher.engine.planning.rendering import MOST_OVER_BUDGET
from tests.engine.fleet.crew import worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Ran, Work, open_work

TOO_MUCH = {
    "loops": "{% for a in range(n) %}{% for b in range(n) %}{% endfor %}{% endfor %}",
    "text": "{{ 'abc' * n * n }}",
    "number": "{{ 10 ** (n * n) }}",
    "list": "{{ [text] * n * n }}",
    "width": "{{ '%*d' % (n * n, 1) }}",
}
GREAT, SMALL = 99_999, 2


def source(work: Work, numbers: list[int], text: str = "row {}") -> str:
    path = work.path("in.jsonl")
    rows = (
        {"id": f"r{row}", "text": text.format(row), "n": number}
        for row, number in enumerate(numbers)
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


async def run(work: Work, numbers: list[int], template: str, **more: str) -> Ran:
    work.path("prompt.j2").write_text(template + "{{ text }}", encoding="utf-8")
    options = {"prompt": str(work.path("prompt.j2"))}
    return await work.run(work.kind("chat", source(work, numbers, **more), options))


@pytest.mark.parametrize("template", TOO_MUCH.values(), ids=TOO_MUCH.keys())
@in_virtual_time
async def test_too_much_on_every_row_stops_the_job(here: Path, template: str) -> None:
    async with open_work(here) as work:
        ran = await run(work, [GREAT] * 300, template)

        assert (ran.report.status, ran.report.exit_code) == ("stopped", 2)
        assert "the first 10 rows all fail in the same way: the template" in str(ran.report.reason)
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.stats.requests == 0
        again = await run(work, [GREAT] * 300, template)
        assert (again.report.job, again.report.exit_code) == (ran.report.job, 2)


@in_virtual_time
async def test_so_it_does_where_texts_are_made_of_columns(here: Path) -> None:
    async with open_work(here) as work:
        path = work.path("in.jsonl")
        row = json.dumps({"text": "x" * 9_000_000})
        path.write_text("".join(row[:-2] + f'{number}"}}\n' for number in range(12)), "utf-8")
        spec = work.kind("embed", str(path), {"template": "{text} {text}"}, id=None)
        ran = await work.run(spec)
        assert (ran.report.exit_code, ran.report.rows_failed) == (2, 0)


@pytest.mark.parametrize("great", [1, MOST_OVER_BUDGET - 1])
@in_virtual_time
async def test_a_few_rows_that_ask_for_too_much_are_dead_letters(here: Path, great: int) -> None:
    async with open_work(here) as work:
        ran = await run(work, [GREAT] * great + [SMALL] * 20, TOO_MUCH["loops"])
        assert list(ran.failed) == list(range(great))
        assert len(ran.done) == 20


@in_virtual_time
async def test_so_are_many_once_any_row_did_not(here: Path) -> None:
    async with open_work(here) as work:
        ran = await run(work, [SMALL] + [GREAT] * 50 + [SMALL], TOO_MUCH["loops"])
        assert list(ran.failed) == list(range(1, 51))
        assert ran.done == [0, 51]


@in_virtual_time
async def test_so_are_many_that_are_the_same_row(here: Path) -> None:
    async with open_work(here) as work:
        work.path("prompt.j2").write_text(TOO_MUCH["loops"], encoding="utf-8")
        path = work.path("in.jsonl")
        path.write_text('{"n": 99999}\n' * 30 + '{"n": 1}\n', encoding="utf-8")
        options = {"prompt": str(work.path("prompt.j2"))}
        ran = await work.run(work.kind("chat", str(path), options, id=None))
        assert ran.report.exit_code == 3
        assert ran.report.rows_failed == 31  # the last one's text is empty


@in_virtual_time
async def test_a_worker_stops_it_as_well(here: Path) -> None:
    database = f"sqlite:///{here}/batcher.db"
    async with open_work(here, database=database) as work:
        work.path("prompt.j2").write_text(TOO_MUCH["loops"] + "{{ text }}", encoding="utf-8")
        options = {"prompt": str(work.path("prompt.j2"))}
        spec = work.kind("chat", source(work, [GREAT] * 300), options)
        async with worker(database):
            report = await work.runner.ask(spec)
            watched = await work.runner.watch(report.job, on_live=lambda live: None)
        assert (watched.status, watched.exit_code) == ("stopped", 2)
        assert "the template does too much" in (watched.reason or "")
