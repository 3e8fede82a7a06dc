"""``--max-cost``: never overshot by more than what is in flight, and nothing is sent beyond it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.providers.http import HttpProvider
from batcher.core.errors import UsageError
from batcher.core.money.prices import Price, dollars
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CHATTER, REASONER, Ran, Work, open_work, words

PRICE = "1000,2000"  # dollars per million tokens: a tenth of a cent is a token


def billed(work: Work) -> Decimal:
    """What the provider's own counts cost."""
    stats = work.stats
    return dollars(Price.parse(PRICE).cost(stats.prompt_tokens, stats.completion_tokens))


def budgeted(work: Work, kind: str, texts: list[str], **settings: Any) -> Any:
    """A job with a price, and for chat a bound on each answer."""
    if kind == "embed":
        return work.embed(texts, price=PRICE, max_inputs=2, **settings)
    return work.chat(texts, price=PRICE, max_tokens=30, **settings)


def stopped_at_budget(ran: Ran) -> bool:
    report = ran.report
    return (report.exit_code, report.status) == (4, "over_budget") and report.rows_failed == 0


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("concurrency", [1, 7, 50])
@pytest.mark.parametrize("database", ["memory://", "b.db"])
@in_virtual_time
async def test_the_budget_holds_and_a_higher_one_finishes_the_job(
    here: Path, kind: str, concurrency: int, database: str
) -> None:
    async with open_work(here, latency_ms=200, database=database) as work:
        texts = list(words(120))
        budget = Decimal("0.5") if kind == "embed" else Decimal(3)
        spec = budgeted(work, kind, texts, max_cost=budget, concurrency=concurrency)
        ran = await work.run(spec)

        assert stopped_at_budget(ran)
        assert 0 < ran.report.rows_done < 120
        assert billed(work) <= budget
        # Not far below it either: at most one more request would not have fitted.
        dearest = Decimal("0.014") if kind == "embed" else Decimal("0.09")
        assert billed(work) > budget - dearest * (concurrency + 1)
        assert ran.report.cost_usd == billed(work)

        sent = work.stats.requests
        again = await work.run(spec)
        assert stopped_at_budget(again)
        assert work.stats.requests <= sent + (0 if billed(work) + dearest > budget else concurrency)
        assert billed(work) <= budget

        higher = budgeted(work, kind, texts, max_cost=Decimal(100), concurrency=concurrency)
        finished = await work.run(higher)
        assert finished.done == list(range(120))
        assert finished.report.job == ran.report.job
        assert work.stats.inputs_served_twice == 0
        assert finished.report.cost_usd == billed(work)


@in_virtual_time
async def test_a_budget_that_is_spent_sends_nothing(here: Path) -> None:
    async with open_work(here) as work:
        texts = list(words(40))
        spec = budgeted(work, "chat", texts, max_cost=Decimal(1))
        await work.run(spec)
        spent = billed(work)
        lower = budgeted(work, "chat", texts, max_cost=spent / 2)
        sent = work.stats.requests
        ran = await work.run(lower)

        assert stopped_at_budget(ran)
        assert "--max-cost must be higher" in (ran.report.reason or "")
        assert work.stats.requests == sent


@in_virtual_time
async def test_a_budget_below_the_first_request_sends_nothing(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(budgeted(work, "chat", list(words(5)), max_cost=Decimal("0.001")))

        assert stopped_at_budget(ran)
        assert work.stats.requests == 0


@pytest.mark.parametrize("fault", ["hang", "disconnect", "garbage"])
@pytest.mark.parametrize("concurrency", [1, 10])
@in_virtual_time
async def test_what_may_have_been_billed_counts_against_the_budget(
    here: Path, fault: str, concurrency: int
) -> None:
    """Every second request is billed without giving a result, again and again."""
    async with open_work(here, latency_ms=200) as work:
        budget = Decimal(2)
        texts = [*words(60), *words(60, marker=f"[[fault={fault}*4]]")]
        texts[::2], texts[1::2] = texts[:60], texts[60:]
        spec = budgeted(work, "chat", texts, max_cost=budget, concurrency=concurrency, timeout=2.0)
        ran = await work.run(spec)

        assert stopped_at_budget(ran)
        dearest = Decimal("0.1")
        assert billed(work) <= budget + concurrency * dearest
        assert (ran.report.cost_usd or 0) + (ran.report.doubt_cost_usd or 0) >= billed(work)


@in_virtual_time
async def test_repairs_are_paid_from_the_budget(here: Path) -> None:
    async with open_work(here) as work:
        texts = list(words(60, marker="[[fault=invalid_json*2]]"))
        spec = work.classify(texts, price=PRICE, max_tokens=30, max_cost=Decimal(3), concurrency=5)
        ran = await work.run(spec)

        assert stopped_at_budget(ran)
        assert billed(work) <= Decimal(3) + 5 * Decimal("0.3")
        assert ran.report.cost_usd == billed(work)


@in_virtual_time
async def test_a_budget_needs_a_price_and_a_bound(here: Path) -> None:
    async with open_work(here) as work:
        with pytest.raises(UsageError, match="--price"):
            await work.run(work.embed(["a"], model="nobody-knows-it", max_cost=Decimal(1)))
        with pytest.raises(UsageError, match="--max-tokens"):
            await work.run(work.chat(["a"], max_cost=Decimal(1)))
        assert work.stats.requests == 0


SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "x", "strict": True,
        "schema": {
            "type": "object", "additionalProperties": False, "required": ["a"],
            "properties": {"a": {"enum": ["one", "two"]}},
        },
    },
}  # fmt: skip


@in_virtual_time
@pytest.mark.parametrize("kind", ["classify", "chat"])
@pytest.mark.parametrize(("model", "budget"), [(CHATTER, 10), (REASONER, 60)])
async def test_a_budget_holds_by_the_form_of_the_answers(
    here: Path, kind: str, model: str, budget: int
) -> None:
    """Without a limit of the user's own, each request carries the one that the form gives."""
    async with open_work(here) as work:
        spec = work.classify(list(words(40)), model=model, max_cost=Decimal(budget), price=PRICE)
        if kind == "chat":
            spec = replace(spec, kind="chat", options={"text": "text"}, params={
                "response_format": SCHEMA,
            })  # fmt: skip
        told: list[str] = []
        bodies: list[dict[str, Any]] = []
        post = HttpProvider.post

        async def noting(
            self: HttpProvider, path: str, body: bytes, *more: Any, **named: Any
        ) -> Any:
            bodies.append(json.loads(body))
            return await post(self, path, body, *more, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HttpProvider, "post", noting)
            report = await work.runner.run(spec, on_told=told.append)
        (limit,) = {int(body.get("max_tokens") or body["max_completion_tokens"]) for body in bodies}
        assert f"note: each answer may have {limit:,} tokens, by the" in told[0]
        assert (limit > 4_096) == (model == REASONER)
        assert report.rows_done > 0
        assert billed(work) <= budget


@in_virtual_time
async def test_an_answer_that_is_not_bounded_says_by_what(here: Path) -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {
        "summary": {"type": "string"}}}  # fmt: skip
    params = {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}}
    async with open_work(here) as work:
        spec = work.chat(["a"], params=params, max_cost=Decimal(1))
        with pytest.raises(UsageError, match=r"\('summary' has no maxLength\).*--max-tokens"):
            await work.run(spec)


@pytest.mark.parametrize("rows", [110, 111, 112])
@in_virtual_time
async def test_a_short_budget_ends_a_run_with_a_limit_and_errors(here: Path, rows: int) -> None:
    """Repeats that are paid for wait among first sends that are not; neither may block the end."""
    config: dict[str, Any] = {"rpm": 1500, "latency_ms": 300, "error_rate": 0.1, "seed": rows}
    async with open_work(here, database="b.db", **config) as work:
        spec = budgeted(work, "chat", list(words(rows)), max_cost=Decimal(3), concurrency=100)
        ran = await asyncio.wait_for(work.run(spec), timeout=600)

        assert stopped_at_budget(ran)
        assert billed(work) <= Decimal(3)


@in_virtual_time
async def test_a_job_that_its_budget_stopped_says_so_to_whoever_asks(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(budgeted(work, "chat", list(words(40)), max_cost=Decimal(1)))
        asked = await work.runner.status(ran.report.job)
        watched = await work.runner.watch(ran.report.job, on_live=lambda live: None)

        assert (asked.status, asked.reason) == ("paused", ran.report.reason)
        assert asked.over_budget
        assert ran.report.over_budget
        assert (watched.status, watched.exit_code) == ("over_budget", 4)
        assert (asked.reason or "").startswith("stopped by its budget: ")


@in_virtual_time
async def test_going_on_with_the_same_budget_says_the_same(here: Path) -> None:
    async with open_work(here) as work:
        spec = budgeted(work, "chat", list(words(40)), max_cost=Decimal("0.1"))
        job = (await work.run(spec)).report.job
        again = await work.run(spec)
        watched = await work.runner.watch(job, on_live=lambda live: None)

        assert stopped_at_budget(again)
        assert watched.over_budget
        assert (watched.status, watched.exit_code) == ("over_budget", 4)
