"""The bill of whole runs: by kind of token, by the tier that served, and never above the budget."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.money.prices import Price, dollars
from tests.engine.virtual_time import VirtualLoop, in_virtual_time
from tests.engine.workbench import Work, open_work, words

LUNA = "gpt-6-luna"
PRICE = "1000,2000,100,1250"


def billed(work: Work, price: str = PRICE) -> Decimal:
    """What the provider's own counts cost, all of them served by one tier."""
    stats = work.stats
    tiers = list(stats.by_tier) or ["default"]
    assert len(tiers) == 1
    served = Price.parse(price).with_usual_tiers().at(tiers[0])
    return dollars(
        served.cost(
            stats.prompt_tokens, stats.completion_tokens, stats.cached_tokens, stats.written_tokens
        )
    )


@in_virtual_time
async def test_tokens_are_told_by_kind(here: Path) -> None:
    config: dict[str, Any] = {
        "cached_share": 0.3, "written_share": 0.2, "reasoning_tokens": 9, "rejected_tokens": 4,
    }  # fmt: skip
    async with open_work(here, database="b.db", **config) as work:
        ran = await work.run(work.chat(list(words(40)), price=PRICE))
        stats = work.stats
        assert ran.manifest is not None
        assert ran.manifest["tokens"] == {
            "prompt": stats.prompt_tokens,
            "completion": stats.completion_tokens,
            "cached": stats.cached_tokens,
            "cache_written": stats.written_tokens,
            "reasoning": 40 * 9,
        }
        assert 0 < stats.written_tokens < stats.cached_tokens
        assert ran.report.cost_usd == billed(work)
        asked = await work.runner.status(ran.report.job)
        assert asked.to_json()["tokens"] == ran.manifest["tokens"]


@pytest.mark.parametrize("served", ["default", "flex", "priority"])
@in_virtual_time
async def test_a_project_may_serve_by_another_tier_than_one_knows(here: Path, served: str) -> None:
    async with open_work(here, project_tier=served) as work:
        ran = await work.run(work.chat(list(words(9)), model=LUNA, service_tier="auto"))
        stats = work.stats
        assert set(stats.by_tier) == {served}
        standard = Price.per_million(Decimal("0.1"), Decimal("0.5"))
        cost = standard.cost(stats.prompt_tokens, stats.completion_tokens)
        times = {"default": Decimal(1), "flex": Decimal("0.5"), "priority": Decimal(2)}[served]
        assert ran.report.cost_usd == dollars(cost) * times


@pytest.mark.parametrize("tier", ["default", "flex", "priority"])
@in_virtual_time
async def test_a_tier_may_be_asked_for_and_is_no_other_job(here: Path, tier: Any) -> None:
    """What is asked for is how fast an answer comes and what it costs, not what it holds."""
    async with open_work(here) as work:
        first = await work.run(work.chat(list(words(9)), model=LUNA, service_tier=tier))
        assert dict(work.stats.by_tier) == {tier: 9}
        again = await work.run(work.chat(list(words(9)), model=LUNA))
        assert again.report.job == first.report.job
        assert work.stats.requests == 9


@in_virtual_time
async def test_a_tier_is_asked_for_where_there_are_some_and_once(here: Path) -> None:
    async with open_work(here) as work:
        with pytest.raises(UsageError, match="no service tiers"):
            await work.run(work.embed(["a"], service_tier="flex"))
        twice = work.chat(["a"], service_tier="flex", params={"service_tier": "default"})
        with pytest.raises(UsageError, match="leave one out"):
            await work.run(twice)
        with pytest.raises(UsageError, match="--service-tier is one of"):
            work.chat(["a"], service_tier="fastest")


@pytest.mark.parametrize("kind", ["chat", "embed"])
@in_virtual_time
async def test_answers_without_usage_are_counted_here_and_that_is_told(
    here: Path, kind: str
) -> None:
    async with open_work(here, usage=False) as work:
        make = {"chat": work.chat, "embed": work.embed}[kind]
        ran = await work.run(make(list(words(12)), price=PRICE))
        stats = work.stats
        assert ran.manifest is not None
        assert ran.manifest["requests_without_usage"] == stats.requests
        assert ran.report.prompt_tokens == stats.prompt_tokens
        assert abs(ran.report.completion_tokens - stats.completion_tokens) <= 12
        assert abs((ran.report.cost_usd or 0) - billed(work)) <= Decimal(12) * 2000 / 10**6


@in_virtual_time
async def test_a_chat_of_a_model_without_an_output_price_costs_nobody_knows_what(
    here: Path,
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(list(words(3)), model="text-embedding-3-small"))
        assert ran.report.cost_usd is None
        assert ran.manifest is not None
        assert ran.manifest["cost_usd"] is None
        with pytest.raises(UsageError, match="--max-cost needs a price"):
            await work.run(
                work.chat(["a"], model="text-embedding-3-small", max_cost=Decimal(1), max_tokens=9)
            )


@in_virtual_time
async def test_an_estimate_prices_each_request_by_its_own_length(here: Path) -> None:
    """All prompts together are longer than the step; none of them is."""
    async with open_work(here) as work:
        texts = [f"{number} " + "word " * 30_000 for number in range(12)]
        estimate = await work.runner.estimate(work.chat(texts, model=LUNA, max_tokens=10))
        assert estimate.prompt_tokens > 300_000
        price = Price.per_million(Decimal("0.1"), Decimal("0.5"))
        assert estimate.cost_usd == dollars(price.cost(estimate.prompt_tokens, 0))
        written = Price.per_million(Decimal("0.125"), Decimal("0.5"))
        assert estimate.cost_usd_at_most == dollars(written.cost(estimate.prompt_tokens, 120))
        flex = await work.runner.estimate(
            work.chat(texts, model=LUNA, max_tokens=10, service_tier="flex")
        )
        assert flex.cost_usd == estimate.cost_usd / 2


@pytest.mark.parametrize("database", ["memory://", "b.db"])
@pytest.mark.parametrize("kind", ["chat", "embed"])
@pytest.mark.parametrize("concurrency", [1, 20])
@in_virtual_time
async def test_a_provider_that_counts_more_tokens_is_learned_of(
    here: Path, kind: str, database: str, concurrency: int
) -> None:
    """The first answers teach; from then on each request is reserved for as it is billed."""
    async with open_work(here, token_factor=9, database=database, latency_ms=200) as work:
        more: dict[str, Any] = {"max_inputs": 2} if kind == "embed" else {"max_tokens": 5}
        budget = Decimal(4)
        spec = getattr(work, kind)(
            list(words(200)), price="1000,10", max_cost=budget, concurrency=concurrency,
            service_tier="default" if kind == "chat" else None, **more,
        )  # fmt: skip
        ran = await asyncio.wait_for(work.run(spec), timeout=600)
        assert ran.report.status == "over_budget"
        dearest = Decimal("0.15")
        assert budget - dearest * (concurrency + 1) < billed(work, "1000,10") <= budget
        assert ran.report.cost_usd == billed(work, "1000,10")


RATE = st.integers(1, 3_000)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    prices=st.tuples(RATE, RATE, RATE, RATE),
    asked=st.sampled_from([None, "auto", "default", "flex", "priority"]),
    project=st.sampled_from(["default", "flex", "priority"]),
    shares=st.sampled_from([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (0.4, 0.6), (0.1, 0.2)]),
    unseen=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    kind=st.sampled_from(["chat", "classify"]),
    budget=st.integers(1, 40),
    concurrency=st.sampled_from([1, 4, 30]),
)
def test_a_budget_is_never_overshot(
    here: Path,
    prices: tuple[int, ...],
    asked: Any,
    project: str,
    shares: tuple[float, float],
    unseen: tuple[int, int],
    kind: str,
    budget: int,
    concurrency: int,
) -> None:
    """Whatever the price, the tier that serves, the kinds of tokens, and answers to be mended."""
    price = ",".join(map(str, prices))
    cached, written = shares

    async def run() -> None:
        config: dict[str, Any] = {
            "cached_share": cached, "written_share": written, "reasoning_tokens": unseen[0],
            "rejected_tokens": unseen[1], "project_tier": project, "latency_ms": 200,
        }  # fmt: skip
        async with open_work(here, **config) as work:
            texts = [*words(15), *words(10, marker="[[fault=invalid_json*1]]")]
            make = {"chat": work.chat, "classify": work.classify}[kind]
            spec = make(
                texts, price=price, service_tier=asked, max_tokens=60, concurrency=concurrency,
                max_cost=Decimal(budget) / 10,
            )  # fmt: skip
            report = await work.runner.run(spec, fresh=True)
            assert billed(work, price) <= Decimal(budget) / 10
            assert report.cost_usd == billed(work, price)
            assert report.status in ("complete", "over_budget")

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())
