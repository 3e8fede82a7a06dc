"""What is known of models: prices and context windows, from the package ``genai-prices``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from batcher.core.kind import has_free_output
from batcher.core.limits import ModelFacts
from batcher.core.money.prices import TIER_FACTORS, Price, per_token

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_PRICED_APART: Mapping[str, str] = {"/decisions": "openai-decisions"}
_ONE_PRICE_FOR_ALL_TIERS = frozenset(
    {"groq"}
)  # its flex is the same price, served if there is room
_THOUSAND = Decimal(1000)


def model_facts(model: str, endpoint: str, base_url: str) -> ModelFacts:
    """What is known of a model at a provider; prices are those of today.

    Where the base URL is nobody's that is known, OpenAI's prices are taken.
    """
    found = _find(model, endpoint, base_url)
    if found is None:
        return ModelFacts()
    provider, info = found
    price = read_prices(info, endpoint, usual_tiers=provider.id not in _ONE_PRICE_FOR_ALL_TIERS)
    return ModelFacts(price=price, context_tokens=info.context_window)


def holds_today(model: str, endpoint: str, base_url: str) -> bool:
    """Whether what is known of a model is the same until the day (UTC) is over."""
    from genai_prices.types import StartDateConstraint

    found = _find(model, endpoint, base_url)
    if found is None:
        return True
    prices = found[1].prices
    conditional = [*(prices if isinstance(prices, list) else ()), *(found[1].price_variants or ())]
    return all(
        price.constraint is None or isinstance(price.constraint, StartDateConstraint)
        for price in conditional
    )


def _find(model: str, endpoint: str, base_url: str) -> tuple[Provider, ModelInfo] | None:
    """A model in the catalog, at the provider whose prices hold."""
    from genai_prices import data_snapshot  # imported late: its data takes a while to load

    snapshot = data_snapshot.get_snapshot()
    apart = _PRICED_APART.get(endpoint)
    places = ((None, base_url), ("openai", None)) if apart is None else ((apart, None),)
    for provider_id, url in places:
        try:
            return snapshot.find_provider_model(model, None, provider_id, url)
        except LookupError:
            continue
    return None


def read_prices(info: ModelInfo, endpoint: str, *, usual_tiers: bool) -> Price | None:
    """The prices of a model, by the tier that serves where the endpoint has tiers."""
    now = datetime.now(UTC)
    price = _read_price(info.get_prices(now), endpoint)
    if price is None or has_free_output(endpoint):
        return price
    tiers = {}
    for name in TIER_FACTORS:
        context = {"service_tier": name}
        named = any(variant.when == context for variant in info.price_variants or ())
        own = _read_price(info.get_prices(now, context), endpoint) if named else None
        if own is not None:
            tiers[name] = own
    price = replace(price, tiers=tiers)
    return price.with_usual_tiers() if usual_tiers else price


def _read_price(prices: ModelPrice, endpoint: str) -> Price | None:
    """The price of text in and out; None where either is not known."""
    free = has_free_output(endpoint)
    if prices.input_mtok is None or (prices.output_mtok is None and not free):
        return None
    above: tuple[int, Price] | None = None
    for start in sorted({0, *_starts(prices)}, reverse=True):
        above = (start, replace(_price_above(prices, start, free=free), above=above))
    return None if above is None else above[1]


def _starts(prices: ModelPrice) -> Iterator[int]:
    """From how many tokens of the prompt on another price holds."""
    for name in ("input", "cache_read", "cache_write", "output", "output_reasoning"):
        for tier in getattr(getattr(prices, f"{name}_mtok"), "tiers", ()):
            yield tier.start


def _price_above(prices: ModelPrice, prompt_tokens: int, *, free: bool) -> Price:
    """The price of requests with more than so many prompt tokens (0: of all others)."""

    def rate(price: Decimal | TieredPrices | None) -> int | None:
        if price is None or isinstance(price, Decimal):
            return None if price is None else per_token(price)
        reached = [tier.price for tier in price.tiers if tier.start <= prompt_tokens]
        return per_token(reached[-1] if reached and prompt_tokens else price.base)

    prompt = rate(prices.input_mtok)
    assert prompt is not None
    cached = rate(prices.cache_read_mtok)
    a_thousand_requests = prices.requests_kcount
    return Price(
        prompt=prompt,
        cached_prompt=prompt if cached is None else cached,
        written_prompt=rate(prices.cache_write_mtok),
        completion=0 if free else rate(prices.output_mtok) or 0,
        reasoning=None if free else rate(prices.output_reasoning_mtok),
        request=(
            per_token(a_thousand_requests * _THOUSAND)
            if isinstance(a_thousand_requests, Decimal)
            else 0
        ),
    )
