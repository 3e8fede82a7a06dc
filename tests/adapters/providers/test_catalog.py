"""Prices and context windows: known models have theirs, unknown ones none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import cast

import pytest
from genai_prices import Usage, data_snapshot
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.adapters.providers.catalog import model_facts, read_prices
from batcher.core.kind import Endpoint
from batcher.core.money.prices import PICO, Price, dollars

OPENAI = "https://api.openai.com/v1"


def test_an_embedding_model_costs_its_prompt() -> None:
    price = model_facts("text-embedding-3-small", Endpoint.EMBEDDINGS, OPENAI).price
    assert price is not None
    assert dollars(price.cost(1_000_000, 0)) == Decimal("0.02")


def test_a_chat_model_costs_both_ways_and_less_from_the_cache() -> None:
    facts = model_facts("gpt-4o-mini", Endpoint.CHAT, OPENAI)
    assert facts.context_tokens == 128_000
    assert facts.price is not None
    assert dollars(facts.price.cost(1_000_000, 0)) == Decimal("0.15")
    assert dollars(facts.price.cost(0, 1_000_000)) == Decimal("0.6")
    assert dollars(facts.price.cost(1_000_000, 0, 1_000_000)) == Decimal("0.075")


def test_a_price_in_tiers_is_charged_by_the_size_of_the_request() -> None:
    url = "https://generativelanguage.googleapis.com"
    price = model_facts("gemini-2.5-pro", Endpoint.CHAT, url).price
    assert price is not None
    assert price.above is not None
    small, large = price.cost(200_000, 0), price.cost(200_001, 0)
    assert large > 1.9 * small


def test_an_unknown_model_has_no_price_rather_than_none_to_pay() -> None:
    assert model_facts("our-own-llama", Endpoint.CHAT, "http://localhost:8000/v1").price is None


def test_a_price_said_by_hand() -> None:
    assert Price.parse("0.15, 0.6").cost(1_000_000, 1_000_000) == 750_000_000_000


def test_a_model_without_an_output_price_has_none_for_chat() -> None:
    known = model_facts("text-embedding-3-small", Endpoint.EMBEDDINGS, OPENAI)
    assert known.price is not None
    assert model_facts("text-embedding-3-small", Endpoint.CHAT, OPENAI).price is None


def test_what_decisions_answer_is_free() -> None:
    price = model_facts("gpt-6-luna", cast("Endpoint", "/decisions"), OPENAI).price
    assert price is not None
    assert price.cost(1_000, 500) == price.cost(1_000, 0, 400, 300) == 1_000 * 100_000
    assert price.cost(300_000, 500) == 300_000 * 200_000


def test_embeddings_have_no_tiers() -> None:
    price = model_facts("text-embedding-3-small", Endpoint.EMBEDDINGS, OPENAI).price
    assert price is not None
    assert price.at("priority") is price


@pytest.mark.parametrize(
    ("tier", "cost"),
    [("default", 1575), ("flex", 787.5), ("priority", 3150), ("fast", 3150), ("scale", 1575)],
)
def test_writes_to_the_cache_and_the_tier_that_serves_are_billed(tier: str, cost: float) -> None:
    """2,000 tokens, 1,000 of them from the cache and 500 written to it, and 805 tokens out."""
    price = model_facts("gpt-6-luna", Endpoint.CHAT, OPENAI).price
    assert price is not None
    # 500 at $0.10, 1,000 at $0.01, 500 at $0.125, 805 at $0.50: in millionths of a dollar
    standard = 500 * 0.1 + 1_000 * 0.01 + 500 * 0.125 + 805 * 0.5
    assert price.at(tier).cost(2_000, 805, 1_000, 500) == standard * 10**6 * cost / 1575


def test_groq_serves_flex_at_the_usual_price() -> None:
    price = model_facts("llama-3.3-70b-versatile", Endpoint.CHAT, "https://api.groq.com/v1").price
    assert price is not None
    assert price.at("flex") is price


def _priced_for_chat() -> list[tuple[str, str]]:
    """Every model that has a price in and out, at its provider."""
    now = datetime.now(UTC)
    return [
        (provider.id, model.id)
        for provider in data_snapshot.get_snapshot().providers
        for model in provider.models
        if (prices := model.get_prices(now)).input_mtok is not None
        and prices.output_mtok is not None
    ]


@given(
    st.sampled_from(_priced_for_chat()),
    st.sampled_from(["", "default", "flex", "priority", "fast"]),
    *[st.integers(0, 400_000)] * 5,
)
@example(("openai", "gpt-6-luna"), "priority", 300_000, 200_000, 90_000, 50_000, 10)
@example(("perplexity", "sonar"), "", 300, 20, 90, 50, 10)
def test_money_is_what_the_package_itself_would_count(
    place: tuple[str, str],
    tier: str,
    prompt: int,
    completion: int,
    cached: int,
    written: int,
    reasoning: int,
) -> None:
    provider = next(p for p in data_snapshot.get_snapshot().providers if p.id == place[0])
    model = next(model for model in provider.models if model.id == place[1])
    priced = read_prices(model, Endpoint.CHAT, usual_tiers=False)
    assert priced is not None
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    reasoning = min(reasoning, completion)
    counted = model.calc_price(
        Usage(
            input_tokens=prompt,
            output_tokens=completion,
            cache_read_tokens=cached,
            cache_write_tokens=written,
            output_reasoning_tokens=reasoning,
        ),
        provider,
        price_context={"service_tier": tier},
    )
    cost = priced.at(tier).cost(prompt, completion, cached, written, reasoning)
    # A picodollar a token is the least that is told apart: prices are rounded to it.
    assert abs(cost - counted.total_price * PICO) <= Decimal("0.5") * (prompt + completion + 1)
    assert cost <= priced.ceiling((tier,)).cost(prompt, completion)
