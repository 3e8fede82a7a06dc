"""What is known of models: prices and context windows, from the package ``genai-prices``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from batcher.core.cost import Price
from batcher.core.kind import Endpoint
from batcher.core.limits import ModelFacts

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices


def model_facts(model: str, endpoint: Endpoint, base_url: str) -> ModelFacts:
    """What is known of a model at a provider; prices are those of today."""
    from genai_prices import data_snapshot  # imported late: its data takes a while to load

    snapshot = data_snapshot.get_snapshot()
    for provider_id, url in ((None, base_url), ("openai", None)):
        try:
            _, info = snapshot.find_provider_model(model, None, provider_id, url)
        except LookupError:
            continue
        price = _read_price(info.get_prices(datetime.now(UTC)), endpoint)
        return ModelFacts(price=price, context_tokens=info.context_window)
    return ModelFacts()


def _read_price(prices: ModelPrice, endpoint: Endpoint) -> Price | None:
    """The price of text in and out; None where either is not known."""
    if prices.input_mtok is None or (prices.output_mtok is None and endpoint is Endpoint.CHAT):
        return None
    starts = {
        tier.start
        for price in (prices.input_mtok, prices.cache_read_mtok, prices.output_mtok)
        for tier in getattr(price, "tiers", ())
    }
    price = _price_at(prices, 0)
    for start in sorted(starts)[:1]:
        price = replace(price, above=(start, _price_at(prices, start)))
    return price


def _price_at(prices: ModelPrice, prompt_tokens: int) -> Price:
    """The price of requests with more than so many prompt tokens."""

    def rate(price: Decimal | TieredPrices | None) -> Decimal | None:
        if price is None or isinstance(price, Decimal):
            return price
        reached = [tier.price for tier in price.tiers if tier.start <= prompt_tokens]
        return reached[-1] if reached and prompt_tokens else price.base

    prompt = rate(prices.input_mtok)
    assert prompt is not None
    return Price.per_million(
        prompt, rate(prices.output_mtok) or Decimal(0), rate(prices.cache_read_mtok)
    )
