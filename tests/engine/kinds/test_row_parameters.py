"""Parameters of a row's own: in its body, its hash, its reservation, and after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batcher.core.job.spec import JobSpec
from tests.engine.answering import Body, answering
from tests.engine.fleet.crew import completed, worker
from tests.engine.kinds.installing import install_kind
from tests.engine.kinds.own_kind import USUAL_TOKENS
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, audit, cut_off, open_work

Row = tuple[str, Any, Any]
"""Its text, its temperature and its cap; None for those of all rows."""

ROWS: list[Row] = [
    ("zero", None, None),
    ("one", 0, None),
    ("two", 0, 7),
    ("three", 0, 7),
    ("four", 0.5, 2 * USUAL_TOKENS),
    ("five", None, None),
]


DIME_A_TOKEN: dict[str, Any] = {"price": "0,100000", "service_tier": "default"}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install_kind(monkeypatch, "own", "tests.engine.kinds.own_kind")


def job(work: Work, base_url: str, rows: Sequence[Row] = ROWS, **settings: Any) -> JobSpec:
    path = work.path("own.jsonl")
    path.write_text(
        "".join(
            json.dumps({"id": text, "text": text, "temperature": heat, "max_tokens": cap}) + "\n"
            for text, heat, cap in rows
        )
    )
    options = {"text": "text", **settings.pop("options", {})}
    return work.kind("own", str(path), options, base_url=base_url, **settings)


def echo(body: Body, _: int = 0) -> dict[str, Any]:
    return {
        "answers": [f"{text} at {body['temperature']}" for text in body["texts"]],
        "usage": {"prompt_tokens": 9, "completion_tokens": min(5, body.get("max_tokens", 5))},
    }


def asked_for(bodies: Sequence[Body]) -> dict[str, tuple[Any, Any]]:
    return {
        text: (body["temperature"], body["max_tokens"]) for body in bodies for text in body["texts"]
    }


WANTED = {
    "zero": (1, USUAL_TOKENS),
    "one": (0, USUAL_TOKENS),
    "two": (0, 7),
    "three": (0, 7),
    "four": (0.5, 2 * USUAL_TOKENS),
    "five": (1, USUAL_TOKENS),
}


@in_virtual_time
async def test_a_body_has_its_rows_own_parameters(here: Path) -> None:
    async with answering(echo) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url))
        assert asked_for(asked.bodies) == WANTED
        assert [record["answer"] for record in ran.records] == [
            f"{text} at {WANTED[text][0]}" for text, _, _ in ROWS
        ]
        audit(work, ran.report)


@in_virtual_time
async def test_a_rows_own_stands_before_what_is_said_for_all_rows(here: Path) -> None:
    """Whatever the cap is called: a request has one."""
    params = {"temperature": 0.9, "max_completion_tokens": 50}
    async with answering(echo) as asked, open_work(here) as work:
        await work.run(job(work, asked.base_url, [("a", 0.1, 5), ("b", None, None)], params=params))
        bodies = {body["texts"][0]: body for body in asked.bodies}
        assert (bodies["a"]["temperature"], bodies["a"]["max_tokens"]) == (0.1, 5)
        assert "max_completion_tokens" not in bodies["a"]
        assert (bodies["b"]["temperature"], bodies["b"]["max_completion_tokens"]) == (0.9, 50)


@in_virtual_time
async def test_rows_with_other_parameters_are_in_another_request(here: Path) -> None:
    rows: list[Row] = [
        *((f"a{number}", 0.0, None) for number in range(5)),
        *((f"b{number}", 0, None) for number in range(2)),  # the same number, another JSON
        ("c", None, None),
        *((f"d{number}", 0.0, None) for number in range(2)),
        ("e", 0.0, 9),
    ]
    async with answering(echo) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, rows, options={"together": 3}))
        assert sorted("".join(body["texts"]) for body in asked.bodies) == [
            "a0a1a2", "a3a4", "b0b1", "c", "d0d1", "e",
        ]  # fmt: skip
        assert ran.done == list(range(len(rows)))


@pytest.mark.parametrize("cap", [10, None])
@in_virtual_time
async def test_the_budget_and_the_estimate_go_by_the_rows_own_cap(
    here: Path, cap: int | None
) -> None:
    """Ten rows of ten tokens are within it, those of the usual cap are not."""
    settings = {**DIME_A_TOKEN, "max_cost": Decimal("10.0001")}
    rows: list[Row] = [(f"t{number}", None, cap) for number in range(10)]
    async with answering(echo) as asked, open_work(here) as work:
        spec = job(work, asked.base_url, rows, **settings)
        estimate = await work.runner.estimate(spec)
        most = cap or USUAL_TOKENS
        assert estimate.completion_tokens_at_most == 10 * most
        assert estimate.cost_usd_at_most == Decimal(most)
        ran = await work.run(spec)
        assert ran.report.exit_code == (0 if cap else 4)
        preview = await work.runner.preview(spec)
        assert {one.completion_tokens_at_most for one in preview.requests} == {most}
        assert {json.loads(one.body)["max_tokens"] for one in preview.requests} == {most}


@in_virtual_time
async def test_a_cap_above_the_usual_one_is_paid_for_too(here: Path) -> None:
    """What an answer of its length would cost is not in the budget: it is not sent."""
    settings = {**DIME_A_TOKEN, "max_cost": Decimal(50)}
    async with answering(echo) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, [("a", None, 501)], **settings))
        assert (ran.report.exit_code, len(asked)) == (4, 0)
        ran = await work.run(job(work, asked.base_url, [("a", None, 500)], **settings))
        assert (ran.report.exit_code, len(asked)) == (0, 1)


@in_virtual_time
async def test_a_row_whose_parameters_are_wrong_fails_alone(here: Path) -> None:
    def answer(body: Body, _: int) -> dict[str, Any] | web.Response:
        if body["temperature"] == 9:
            error = {"message": "temperature is at most 2", "param": "temperature", "code": None}
            return web.json_response({"error": error}, status=400)
        return echo(body)

    rows = [*ROWS, ("hot", 9, None), ("none", 0, -1)]
    async with answering(answer) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, rows))
        assert ran.done == list(range(len(ROWS)))
        assert {error["id"]: error["code"] for error in ran.errors} == {
            "hot": "invalid_request",
            "none": "wrong_cap",
        }
        assert ran.report.exit_code == 3


@in_virtual_time
async def test_a_cap_that_is_called_otherwise_is_learned_and_no_rows_fault(here: Path) -> None:
    def answer(body: Body, _: int) -> dict[str, Any] | web.Response:
        if "max_tokens" in body:
            said = "Unsupported parameter: use max_completion_tokens instead"
            error = {"message": said, "param": "max_tokens", "code": "unsupported_parameter"}
            return web.json_response({"error": error}, status=400)
        return echo(body)

    async with answering(answer) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url))
        assert ran.done == list(range(len(ROWS)))
        sent = {
            body["texts"][0]: body["max_completion_tokens"]
            for body in asked.bodies
            if "max_completion_tokens" in body
        }
        assert sent == {text: cap for text, (_, cap) in WANTED.items()}


@in_virtual_time
async def test_a_row_with_other_parameters_is_not_carried_over(here: Path) -> None:
    async with answering(echo) as asked, open_work(here) as work:
        settings: dict[str, Any] = {"name": "nightly", "since_last": True}
        await work.run(job(work, asked.base_url, **settings))
        asked.bodies.clear()
        changed = [("two", 0, 8) if row[0] == "two" else row for row in ROWS]
        ran = await work.run(job(work, asked.base_url, changed, **settings), overwrite=True)
        assert asked_for(asked.bodies) == {"two": (0, 8)}
        assert ran.done == list(range(len(ROWS)))


@in_virtual_time
async def test_a_job_that_was_cut_off_goes_on_with_the_same_requests(here: Path) -> None:
    """Each body is what it was before the crash, also in a worker, which has the plan alone."""
    database = f"sqlite:///{here}/batcher.db"

    def answer(body: Body, count: int) -> Any:
        return echo(body) if count > 3 else web.Response(status=503)

    rows: list[Row] = [(f"t{number}", number / 10, number + 1) for number in range(30)]
    async with answering(answer) as asked, open_work(here, database=database) as work:
        spec = job(work, asked.base_url, rows, concurrency=3)
        await cut_off(work, spec, lambda: len(asked) >= 3)
        before = asked_for(asked.bodies)
        async with worker(database):
            (listed,) = await work.runner.jobs()
            ran = await completed(work, listed.job)
        assert ran.done == list(range(30))
        after = asked_for(asked.bodies)
        assert after == {text: (heat, cap) for text, heat, cap in rows}
        assert before.items() <= after.items()


@in_virtual_time
async def test_the_answer_to_many_rows_is_as_long_as_the_kind_says(here: Path) -> None:
    """It is in the body, and charged once a request, by the limit and by the budget."""
    rows: list[Row] = [(f"t{number}", None, None) for number in range(8)]
    options = {"together": 4, "each_tokens": 25}
    async with answering(echo) as asked, open_work(here) as work:
        spec = job(
            work, asked.base_url, rows, options=options,
            max_cost=Decimal("40.0001"), **DIME_A_TOKEN,
        )  # fmt: skip
        estimate = await work.runner.estimate(spec)
        assert estimate.completion_tokens_at_most == 2 * (USUAL_TOKENS + 4 * 25)
        ran = await work.run(spec)
        assert ran.report.exit_code == 0, "each row's part alone would cost 1.25 of the budget"
        assert [body["max_tokens"] for body in asked.bodies] == [USUAL_TOKENS + 4 * 25] * 2
