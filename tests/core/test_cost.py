"""Money is exact: whole picodollars inside, decimal dollars outside."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.cost import Price, dollars, picodollars
from batcher.core.errors import UsageError


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
    "text", ["", "1", "1,2,3", "a,b", "-1,2", "1,-2", "nan,1", "1,inf", "1;2", "$1,$2"]
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
