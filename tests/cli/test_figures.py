from __future__ import annotations

from decimal import Decimal

import pytest

from batcher.cli import figures
from batcher.cli.options.command_line import command_of, short_path
from batcher.cli.output import table
from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "unknown price"),
        ("0", "$0.00"),
        ("1234.567", "$1,234.57"),
        ("1", "$1.00"),
        ("0.5", "$0.500"),
        ("0.013191", "$0.0132"),
        ("0.0000348", "$0.0000348"),
    ],
)
def test_money(amount: str | None, text: str) -> None:
    assert figures.money(None if amount is None else Decimal(amount)) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"), (9.96, "10 s"), (42.4, "42 s"), (200, "3 min 20 s"),
        (7500, "2 h 05 min"), (273_600, "3 d 4 h"),
    ],
)  # fmt: skip
def test_duration(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("per_second", "text"),
    [(0, "0 rows/s"), (0.1, "6.0 rows/min"), (3.21, "3.2 rows/s"), (1234.5, "1,234 rows/s")],
)
def test_rate(per_second: float, text: str) -> None:
    assert figures.rate(per_second) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0%"), (0.001, "<1%"), (0.5, "50%"), (0.9999, "99%"), (1, "100%")]
)
def test_a_share_is_rounded_neither_to_nothing_nor_to_the_whole(part: float, text: str) -> None:
    assert figures.share(part) == text


def test_a_count_takes_its_noun_along() -> None:
    assert figures.count(1, "row") == "1 row"
    assert figures.count(12_345, "row") == "12,345 rows"
    assert figures.count(2, "retry", "retries") == "2 retries"


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("90m", 5400), ("1.5h", 5400), ("30d", 2_592_000)]
)
def test_a_span_of_time(text: str, seconds: float) -> None:
    assert figures.parse_span(text) == seconds


def test_a_span_without_a_unit_is_refused() -> None:
    with pytest.raises(UsageError, match="write 30d, 12h, 90m, 45s or 2w"):
        figures.parse_span("30")


def test_the_command_of_a_job_leaves_defaults_out_and_quotes_the_rest() -> None:
    spec = JobSpec(
        kind="embed",
        input="my file.csv",
        model="m",
        options={"template": "{title}: {body}", "flag": True, "off": False},
        rpm=5,
        keep_input=False,
        headers={"X-Team": "data"},
        params={"user": "me", "seed": 1},
        max_cost=Decimal("0.5"),
    )

    assert command_of(spec, output="o.csv") == (
        "batcher run embed 'my file.csv' -o o.csv --model m --template '{title}: {body}' --flag "
        "--rpm 5 --max-cost 0.5 --header X-Team:data --param 'user=\"me\"' --param seed=1 "
        "--no-keep-input"
    )


def test_a_long_path_is_shortened_to_its_name_and_then_in_the_middle() -> None:
    assert short_path("a/b.csv", 10) == "a/b.csv"
    assert short_path("a/long/way/to/b.csv", 10) == "b.csv"
    assert len(short_path("a_very_long_name.csv", 11)) == 11


def test_a_table_aligns_its_columns() -> None:
    assert table(["NAME", "N"], [["a", "1"], ["long name", "100"]], right="N") == [
        "NAME         N",
        "a            1",
        "long name  100",
    ]
