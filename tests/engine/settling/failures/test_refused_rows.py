"""Many rows in a row that are refused for themselves: dead letters, and the job goes on."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from batcher.simulator.faults.due import STATUS_FAULTS
from tests.engine.answering import Answer, Body, answering, asked, chat
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import audit, cancelled_ever_later, open_work, state_of, words

REFUSING = ["403", "404", "404_html", "302", "418", "400_param", "501_llama"]


def with_refused(rows: int, refused: range, fault: str = "403") -> list[str]:
    texts = list(words(rows))
    for row in refused:
        texts[row] = f"[[fault={fault}]] {texts[row]}"
    return texts


@pytest.mark.parametrize("fault", REFUSING)
@pytest.mark.parametrize("first", [20, 450, 900])
@in_virtual_time
async def test_a_hundred_refused_rows_in_a_row_are_a_hundred_dead_letters(
    here: Path, fault: str, first: int
) -> None:
    """Wherever they stand; no more than a few requests are paid for to find out."""
    assert fault in STATUS_FAULTS
    async with open_work(here, latency_ms=20) as work:
        refused = range(first, first + 100)
        started = work.now()
        ran = await work.run(work.chat(with_refused(1000, refused, fault), concurrency=8))

        assert ran.report.exit_code == 3
        assert list(ran.failed) == list(refused)
        assert ran.done == [row for row in range(1000) if row not in refused]
        assert work.stats.inputs_served_twice <= 4
        assert work.stats.requests <= 900 + 3 * 100 + 40
        assert work.now() - started < 120
        assert ran.report.doubt_requests == work.stats.requests_served_twice
        audit(work, ran.report)


@pytest.mark.parametrize("concurrency", [1, 100])
@pytest.mark.parametrize("latency_ms", [0, 2000])
@pytest.mark.parametrize("inputs", [1, 7])
@in_virtual_time
async def test_so_they_are_whatever_the_concurrency_and_the_size_of_requests(
    here: Path, concurrency: int, latency_ms: int, inputs: int
) -> None:
    async with open_work(here, latency_ms=latency_ms) as work:
        refused = range(300, 400)
        spec = work.embed(
            with_refused(500, refused, "404_html"), max_inputs=inputs, concurrency=concurrency
        )
        ran = await work.run(spec)

        assert list(ran.failed) == list(refused)
        assert len(ran.done) == 400
        audit(work, ran.report)


@in_virtual_time
async def test_a_job_that_was_stopped_goes_on_with_rows_that_are_refused(here: Path) -> None:
    """What was answered in an earlier run is asked once more: nothing is left of that run."""
    async with open_work(here, latency_ms=20) as work:
        texts = with_refused(400, range(200, 300))
        texts[200] = f"[[fault=429_quota*1]] {texts[200]}"
        spec = work.chat(texts, concurrency=1)
        assert (await work.run(spec)).report.exit_code == 5
        ran = await work.run(spec)

        assert list(ran.failed) == list(range(200, 300))
        assert len(ran.done) == 300
        assert work.stats.inputs_served_twice <= 4
        audit(work, ran.report)


@in_virtual_time
async def test_what_is_asked_once_more_is_within_the_budget(here: Path) -> None:
    async with open_work(here, latency_ms=20) as work:
        texts = with_refused(300, range(100, 200))
        spec = work.chat(texts, concurrency=8, max_tokens=20, model="gpt-4o-mini")
        whole = await work.run(spec)
        for part in (Decimal("0.5"), Decimal("0.9"), Decimal(1), Decimal("1.1")):
            budget = (whole.report.cost_usd or Decimal(0)) * part
            name = f"{part}.jsonl"
            ran = await work.run(
                work.chat(texts, concurrency=8, max_tokens=20, max_cost=budget),
                output=name,
                fresh=True,
            )
            assert (ran.report.cost_usd or 0) <= budget
            assert ran.report.exit_code in (3, 4)
            assert set(ran.failed) <= set(range(100, 200))


@in_virtual_time
async def test_a_crash_while_it_is_asked_once_more_is_accounted_for(here: Path) -> None:
    async with open_work(here, latency_ms=20, lease_seconds=3.0) as work:
        spec = work.chat(with_refused(80, range(30, 70)), concurrency=4)
        ran, cancelled = await cancelled_ever_later(work, spec, count(5, 37))

        assert cancelled > 3
        assert list(ran.failed) == list(range(30, 70))
        assert len(ran.done) == 40
        audit(work, ran.report)


# --- whom it does not convince ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "stops"),
    [
        ({"cf-aig-cache-status": "HIT"}, True),
        ({"X-Cache": "Hit from proxy"}, True),
        ({"Idempotent-Replayed": "true"}, True),
        ({"X-Cache": "MISS"}, False),
        ({}, False),
    ],
)
@in_virtual_time
async def test_an_answer_from_a_cache_proves_nothing(
    here: Path, answers: dict[str, str], *, stops: bool
) -> None:
    seen: Counter[str] = Counter()

    def answer(body: Body, number: int) -> Answer:
        text = asked(body)
        seen[text] += 1
        if int(text.split()[2]) >= 20:
            return web.json_response({"error": {"message": "blocked"}}, status=403)
        headers = answers if seen[text] > 1 else {}
        return web.json_response(chat("yes"), headers=headers)

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat(list(words(120)), base_url=server.base_url, concurrency=4))

        assert ran.report.exit_code == (2 if stops else 3)
        assert ran.report.rows_failed == (0 if stops else 100)
        assert sum(times > 1 for text, times in seen.items() if int(text.split()[2]) < 20) == 1


@pytest.mark.parametrize("status", [400, 429, 500, 402, 200])
@in_virtual_time
async def test_a_run_ends_whatever_becomes_of_what_is_asked_once_more(
    here: Path, status: int
) -> None:
    seen: Counter[str] = Counter()

    def answer(body: Body, number: int) -> Answer:
        text = asked(body)
        seen[text] += 1
        if int(text.split()[2]) >= 20:
            return web.json_response({"error": {"message": "blocked"}}, status=403)
        if seen[text] > 1:
            return web.json_response({"error": {"message": "no more"}}, status=status)
        return chat("yes")

    async with open_work(here) as work, answering(answer) as server:
        texts = list(words(120))
        spec = work.chat(texts, base_url=server.base_url, concurrency=4, outage_timeout=60.0)
        ran = await work.run(spec)

        assert ran.report.exit_code == {400: 2, 429: 5, 500: 5, 402: 5, 200: 5}[status]
        assert (ran.report.rows_done, ran.report.rows_failed) == (20, 0)
        assert (await state_of(work, ran)).startswith("paused: ")


GONE = [
    (404, {"error": {"code": "DeploymentNotFound", "message": "gone"}}),
    (404, {"error": {"code": "model_not_found", "message": "gone"}}),
    (410, {"message": "gone"}),
    (400, {"error": {"message": "Expired Key, gone", "type": "expired_key", "code": "400"}}),
]


@pytest.mark.parametrize("rows", [8, 12, 30])
@pytest.mark.parametrize(("status", "body"), GONE)
@in_virtual_time
async def test_a_model_that_goes_before_the_last_rows_is_not_their_fault(
    here: Path, status: int, body: Body, rows: int
) -> None:
    """Fewer rows than make a doubt otherwise: what was answered before tells that all are."""

    def answer(body_: Body, number: int) -> Answer:
        return chat("yes") if number <= 5 else web.json_response(body, status=status)

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat(list(words(rows)), base_url=server.base_url, concurrency=2))

        assert ran.report.exit_code == 2
        assert (ran.report.rows_done, ran.report.rows_failed) == (5, 0)
        assert "gone" in await state_of(work, ran)
        assert len(server) <= 5 + rows + 20


@pytest.mark.parametrize("refused", [1, 2, 3, 7])
@in_virtual_time
async def test_last_rows_that_name_a_model_are_their_own_fault_if_others_are_served(
    here: Path, refused: int
) -> None:
    def answer(body: Body, number: int) -> Answer:
        if int(asked(body).split()[2]) < 12 - refused:
            return chat("yes")
        error = {"code": "model_not_found", "message": "no such model for this text"}
        return web.json_response({"error": error}, status=404)

    async with open_work(here) as work, answering(answer) as server:
        ran = await work.run(work.chat(list(words(12)), base_url=server.base_url, concurrency=2))

        assert ran.report.exit_code == 3
        assert list(ran.failed) == list(range(12 - refused, 12))
