"""Some jobs, some results, some errors: pages of what a command would print."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batcher.cli.figures import parse_since
from batcher.core.errors import UsageError
from tests.cli.conftest import embed_file

if TYPE_CHECKING:
    from tests.cli.conftest import Cli, Outcome

LABELS = ("--text", "body", "--labels", "late,charge", "--model", "gpt-4o-mini", "--simulate")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def classify(cli: Cli, name: str, rows: int) -> str:
    lines = [f"{name}{row},{'' if row % 4 == 3 else f'text {row}'}\n" for row in range(rows)]
    cli.write(f"{name}.csv", "id,body\n" + "".join(lines))
    job: str = cli("run", "classify", f"{name}.csv", "--id", "id", *LABELS, "--json").json["job"]
    return job


def ids(outcome: Outcome) -> list[str]:
    assert outcome.code == 0, outcome.stderr
    return [record["id"] for record in outcome.lines]


# --- results ----------------------------------------------------------------------------------


def test_pages_of_results_are_the_whole_cut_in_pieces(cli: Cli) -> None:
    job = classify(cli, "t", 12)
    everything = ids(cli("results", job))
    first = cli("results", job, "--limit", "5")
    assert ids(first) == everything[:5]
    assert "those behind row 5 follow with --after 5" in first.stderr
    assert cli("results", job, "--limit", "9").stderr == ""
    rest = cli("results", job, "--after", "5")
    assert ids(rest) == everything[5:]
    assert rest.stderr == ""


def test_the_result_of_one_row_is_printed_by_its_id(cli: Cli) -> None:
    job = classify(cli, "t", 6)
    assert ids(cli("results", job, "--id", "t4")) == ["t4"]
    table = cli("results", job, "--id", "t4", "--output-format", "csv")
    assert table.stdout.splitlines()[0] == "id,body,label"
    assert table.stdout.splitlines()[1].startswith("t4,text 4,")


@pytest.mark.parametrize(
    ("sought", "said"),
    [("t3", "failed for good (empty_input)"), ("other", "no row with the id 'other'")],
)
def test_a_row_that_has_no_result_prints_nothing_and_says_why(
    cli: Cli, sought: str, said: str
) -> None:
    outcome = cli("results", classify(cli, "t", 6), "--id", sought)
    assert (outcome.code, outcome.stdout) == (2, "")
    assert said in outcome.stderr


def test_one_row_and_a_page_are_not_asked_for_at_once(cli: Cli) -> None:
    outcome = cli("results", classify(cli, "t", 6), "--id", "t1", "--limit", "3")
    assert outcome.code == 2
    assert "choose one" in outcome.stderr


# --- errors -----------------------------------------------------------------------------------


def test_pages_of_errors_are_the_whole_cut_in_pieces(cli: Cli) -> None:
    job = classify(cli, "t", 20)
    first = cli("errors", job, "--json", "--limit", "2")
    assert [record["row"] for record in first.lines] == [3, 7]
    assert "those behind row 7 follow with --after 7" in first.stderr
    rest = cli("errors", job, "--json", "--after", "7", "--limit", "3")
    assert [record["row"] for record in rest.lines] == [11, 15, 19]
    assert rest.stderr == ""
    assert "no row behind 19 failed" in cli("errors", job, "--after", "19").stderr


# --- jobs -------------------------------------------------------------------------------------


def test_pages_of_jobs_are_the_whole_list_cut_in_pieces(cli: Cli) -> None:
    made = [classify(cli, name, 2) for name in "abc"]
    first = cli("jobs", "--json", "--limit", "2")
    assert [report["job"] for report in first.json] == made[:0:-1]
    assert f"older ones follow with --after {made[1]}" in first.stderr
    rest = cli("jobs", "--json", "--after", made[1])
    assert [report["job"] for report in rest.json] == made[:1]
    assert "follow" not in rest.stderr
    assert "follow" not in cli("jobs", "--limit", "3").stderr
    assert f"no such job after {made[0]}" in cli("jobs", "--after", made[0]).stderr


def test_jobs_are_found_by_what_they_are_and_when_they_were_made(cli: Cli) -> None:
    labelled = classify(cli, "a", 2)
    embedded = embed_file(cli, "tickets.csv", "--name", "nightly")
    for arguments, expected in (
        (("--kind", "embed"), [embedded]),
        (("--kind", "classify", "--since", "1h"), [labelled]),
        (("--name", "nightly", "--kind", "classify"), []),
        (("--since", "1h"), [embedded, labelled]),
        (("--since", "2999-01-01"), []),
        (("--since", "2026-01-01T00:00:00Z"), [embedded, labelled]),
    ):
        found = [report["job"] for report in cli("jobs", "--json", *arguments).json]
        assert found == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2026-11-27T09:30:00+02:00", datetime(2026, 11, 27, 7, 30, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27).astimezone(UTC)),
    ],
)
def test_a_span_or_a_date_says_since_when(text: str, expected: datetime) -> None:
    assert parse_since(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "7", "2026-13-01", "999999999999w"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        parse_since(text, NOW)
