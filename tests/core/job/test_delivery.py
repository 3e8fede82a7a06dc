"""What a job says of where its results go (`batcher.core.job.delivery`)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.errors import UsageError
from batcher.core.job.delivery import DeliverySpec, is_template, pause_seconds, safe_name

DAY = date(2026, 11, 8)


def filled(output: str, name: str | None = "n") -> str:
    return DeliverySpec(output=output).filled(job="1ng6", name=name, day=DAY).output


def test_an_output_is_called_after_its_job() -> None:
    assert filled("/o/{date}-{job}-{name}.csv") == "/o/2026-11-08-1ng6-n.csv"
    assert filled("{job}{job}") == "1ng61ng6"


@pytest.mark.parametrize("output", ["out.csv", "{}", "{x}.csv", "{ date }", "{{x}}"])
def test_any_other_brace_stays(output: str) -> None:
    assert filled(output) == output
    assert not is_template(output)


def test_what_a_name_looks_like_is_not_filled_in() -> None:
    assert filled("{name}.csv", name="{job}") == "_job_.csv"


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="--name"):
        filled("{name}.csv", name=None)
    assert filled("{job}.csv", name=None) == "1ng6.csv"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("nightly", "nightly"),
        ("a/b: c", "a_b__c"),
        ("..", "_."),
        (".hidden", "_hidden"),
        ("-rf", "_rf"),
        ("über 日本", "über_日本"),
    ],
)
def test_a_name_is_a_part_of_a_path(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(min_size=1))
def test_no_name_leads_to_another_folder(name: str) -> None:
    safe = safe_name(name)
    assert len(safe) == len(name)
    assert not set(safe) & set("/\\\0\n:*?\"<>|$'`&;")
    assert not safe.startswith((".", "-"))


def test_it_is_the_same_after_json() -> None:
    spec = DeliverySpec(
        output="a.csv", format="csv", overwrite=True, csv_safe=True, failed_rows="null",
        timezone="Europe/Berlin",
    )  # fmt: skip
    assert DeliverySpec.from_json({**spec.to_json(), "of a later version": 1}) == spec


@pytest.mark.parametrize("wrong", [{"output": ""}, {"output": "a\0"}, {"failed_rows": "all"}])
def test_what_is_no_place_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        DeliverySpec.from_json({"output": "a.csv", **wrong})


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_seconds(attempts) for attempts in range(2_000)]
    assert pauses[:4] == [0, 5, 10, 20]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 3600
