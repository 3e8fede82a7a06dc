"""Prices and context windows: known models have theirs, unknown ones none."""

from __future__ import annotations

from decimal import Decimal

from batcher.adapters.catalog import model_facts
from batcher.core.cost import Price, dollars
from batcher.core.kind import Endpoint

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
