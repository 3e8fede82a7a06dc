"""Money is exact: whole picodollars inside, decimal dollars outside."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.money.prices import Price, dollars, picodollars, shares


def test_a_million_tokens_cost_what_the_list_says() -> None:
    price = Price.per_million(Decimal("0.15"), Decimal("0.60"), Decimal("0.075"))
    assert dollars(price.cost(1_000_000, 0)) == Decimal("0.15")
    assert dollars(price.cost(0, 1_000_000)) == Decimal("0.6")
    assert dollars(price.cost(1_000_000, 0, 1_000_000)) == Decimal("0.075")
    assert dollars(price.cost(1_000_000, 0, 400_000)) == Decimal("0.12")


def test_the_cheapest_token_there_is_costs_more_than_nothing() -> None:
    assert Price.per_million(Decimal("0.02"), Decimal(0)).cost(1, 0) == 20_000


@pytest.mark.parametrize(("cached", "charged"), [(-5, 10), (0, 10), (4, 6), (10, 0), (99, 0)])
def test_no_more_is_cached_than_was_sent(cached: int, charged: int) -> None:
    price = Price(prompt=1, cached_prompt=0, completion=0)
    assert price.cost(10, 0, cached) == charged


def test_long_prompts_have_a_price_of_their_own() -> None:
    long = Price(prompt=2, cached_prompt=2, completion=3)
    price = Price(prompt=1, cached_prompt=1, completion=1, above=(100, long))
    assert price.cost(100, 10) == 110
    assert price.cost(101, 10) == 232


@pytest.mark.parametrize("text", ["0.15,0.60", " 0.15 , 0.6 ", "1.5e-1,6E-1"])
def test_price_is_parsed(text: str) -> None:
    assert Price.parse(text) == Price.per_million(Decimal("0.15"), Decimal("0.60"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1,2,3",
        "a,b",
        "-1,2",
        "1,-2",
        "nan,1",
        "1,inf",
        "1;2",
        "$1,$2",
        "1e400,1",
        "1,1e12",
    ],
)
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="IN,OUT"):
        Price.parse(text)


@given(st.integers(0, 10**18))
def test_dollars_and_picodollars_are_the_same_money(amount: int) -> None:
    assert picodollars(dollars(amount)) == amount


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=50))
def test_costs_add_without_error(answers: list[tuple[int, int]]) -> None:
    price = Price.per_million(Decimal("0.13"), Decimal("0.39"))
    total = sum(price.cost(prompt, completion) for prompt, completion in answers)
    assert total == price.cost(sum(p for p, _ in answers), sum(c for _, c in answers))


@pytest.mark.parametrize(("amount", "shown"), [(0, "0"), (10**12, "1"), (25 * 10**10, "0.25")])
def test_dollars_are_written_plainly(amount: int, shown: str) -> None:
    assert f"{dollars(amount):f}" == shown


def test_a_price_may_say_what_the_cache_costs() -> None:
    price = Price.parse("1,10,0.1,1.25")
    assert price.cost(1_000_000, 0, 200_000, 400_000) == picodollars(Decimal("0.92"))
    assert Price.parse("1,10").cost(100, 0, 20, 40) == Price.parse("1,10").cost(100, 0)


@pytest.mark.parametrize(
    ("tier", "times"),
    [("default", 1), ("auto", 1), ("scale", 1), ("flex", 0.5), ("priority", 2), ("fast", 2)],
)
def test_the_tier_that_serves_has_its_usual_factor(tier: str, times: float) -> None:
    price = Price.parse("2,8,0.2,2.5").with_usual_tiers()
    usage = (1_000, 50, 300, 200)
    assert price.at(tier).cost(*usage) == price.cost(*usage) * times


def test_a_tier_that_has_a_price_of_its_own_keeps_it() -> None:
    own = Price(prompt=17, cached_prompt=17, completion=17)
    price = Price(prompt=10, cached_prompt=1, completion=30, tiers={"priority": own})
    assert price.with_usual_tiers().at("priority") is own
    assert price.with_usual_tiers().at("flex").cost(10, 10) == 200
    assert price.at("flex") is price


RATES = st.integers(0, 10**7)


def prices(*, tiers: bool = True) -> st.SearchStrategy[Price]:
    """Prices of any shape: some steps, each dearer or cheaper, and tiers."""
    plain: st.SearchStrategy[Price] = st.builds(
        Price,
        prompt=RATES,
        cached_prompt=RATES,
        completion=RATES,
        written_prompt=st.none() | RATES,
        reasoning=st.none() | RATES,
        request=RATES,
    )
    stepped = st.builds(
        lambda first, second, third, start, more: replace(
            first, above=(start, replace(second, above=(start + more, third)))
        ),
        plain, plain, plain, st.integers(0, 300_000), st.integers(1, 300_000),
    )  # fmt: skip
    any_price = plain | stepped
    if not tiers:
        return any_price
    named = st.dictionaries(st.sampled_from(["flex", "priority", "fast"]), any_price)
    return st.builds(lambda price, more: replace(price, tiers=more), any_price, named)


@given(
    prices(), st.sampled_from(["", "default", "flex", "priority", "other"]),
    st.integers(0, 600_000), st.integers(0, 100_000), *[st.integers(-5, 700_000)] * 3,
)  # fmt: skip
def test_no_answer_costs_less_than_nothing_or_more_than_the_ceiling(
    price: Price, tier: str, prompt: int, completion: int, cached: int, written: int, reasoning: int
) -> None:
    cost = price.at(tier).cost(prompt, completion, cached, written, reasoning)
    assert 0 <= cost <= price.ceiling(("flex", "priority")).cost(prompt, completion)
    assert cost <= price.ceiling((tier,)).cost(prompt + 1, completion + 1)
    steps = price.ceiling((tier,), any_step=True)
    half = prompt // 2
    assert cost <= steps.cost(half, completion) + steps.cost(prompt - half, 0)


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**6), min_size=1, max_size=60))
def test_shares_add_up_to_the_whole_and_differ_from_fair_by_less_than_one(
    amount: int, weights: list[int]
) -> None:
    parts = shares(amount, weights)
    assert sum(parts) == amount
    total = sum(weights)
    for part, weight in zip(parts, weights, strict=True):
        fair = Fraction(amount * weight, total) if total else Fraction(amount, len(weights))
        assert abs(part - fair) < 1
