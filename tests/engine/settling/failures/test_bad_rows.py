"""Rows that a provider refuses for what they hold: found alone, and dead letters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, audit, nothing_written, open_work, words


@in_virtual_time
async def test_ten_rows_alike_before_any_success_stop_the_job(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(list(words(30, marker="[[fault=400]]"))))

        assert ran.report.exit_code == 2
        assert "the same way" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert work.stats.requests == 10
        assert nothing_written(work)


@in_virtual_time
async def test_ten_rows_alike_of_one_request_before_any_success_stop_the_job(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed(list(words(64, marker="[[fault=400]]"))))

        assert ran.report.exit_code == 2
        assert ran.report.rows_failed == 0
        assert work.stats.requests < 30


@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_a_small_job_of_bad_rows_ends_with_dead_letters(here: Path, kind: str) -> None:
    async with open_work(here) as work:
        texts = list(words(9, marker="[[fault=400]]"))
        ran = await work.run(work.embed(texts) if kind == "embed" else work.chat(texts))

        assert ran.failed == dict.fromkeys(range(9), ("invalid_value", 1))
        assert ran.report.exit_code == 3
        assert ran.records == []
        assert work.stats.requests == (17 if kind == "embed" else 9)


@in_virtual_time
async def test_rows_that_failed_before_the_first_success_are_dead_letters_after_it(
    here: Path,
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat([*words(9, marker="[[fault=400]]"), *GOOD]))

        assert ran.failed == dict.fromkeys(range(9), ("invalid_value", 1))
        assert ran.done == list(range(9, 16))


@pytest.mark.parametrize("bad", [1, 3, 32])
@pytest.mark.parametrize("fault", ["400", "400_vllm", "422_vllm", "azure_content_filter"])
@in_virtual_time
async def test_bad_rows_are_found_by_bisection(here: Path, fault: str, bad: int) -> None:
    async with open_work(here) as work:
        texts = list(words(33))
        for row in range(1, bad + 1):
            texts[row] += f" [[fault={fault}]]"
        ran = await work.run(work.embed(texts))

        assert sorted(ran.failed) == list(range(1, bad + 1))
        assert {attempts for _, attempts in ran.failed.values()} == {1}
        assert len(ran.done) == 33 - bad
        assert work.stats.requests <= 2 * 33 - 1
        if bad == 1:
            assert work.stats.requests <= 1 + 2 * 6
        audit(work, ran.report)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("400", "invalid_value"),
        ("400_vllm", "BadRequestError"),
        ("400_vllm_long", "BadRequestError"),
        ("400_vllm_room", "BadRequestError"),
        ("422_vllm", "UnprocessableEntityError"),
        ("azure_content_filter", "content_filter"),
        ("content_filter", "content_filter"),
        ("refusal", "refusal"),
    ],
)
@pytest.mark.parametrize("row", [0, 7])
@pytest.mark.parametrize("should_retry", [None, True])
@in_virtual_time
async def test_a_row_that_the_provider_will_not_answer_is_a_dead_letter(
    here: Path, fault: str, code: str, row: int, should_retry: bool | None
) -> None:
    """As the first of all as well as the last, and whatever ``x-should-retry`` says."""
    async with open_work(here, should_retry=should_retry) as work:
        texts = [*GOOD[:row], f"[[fault={fault}]] a", *GOOD[row:]]
        ran = await work.run(work.chat(texts, max_tokens=9))

        assert ran.failed == {row: (code, 1)}
        assert ran.done == [other for other in range(8) if other != row]
        assert work.stats.requests == 8
        audit(work, ran.report)
