"""Every row of the failure table, over HTTP: what a failure does to rows, the job and the bill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import REASONER, Ran, Work, open_work, words

GOOD = list(words(7))


async def state_of(work: Work, ran: Ran) -> str:
    """The job's state and the reason for it, as the store has them."""
    report = await work.runner.status(ran.report.job)
    return f"{report.status}: {report.reason}"


def nothing_written(work: Work) -> bool:
    """Whether there is no output of any kind."""
    return not list(work.directory.glob("out.*"))


def audit(work: Work, ran: Ran) -> None:
    """The job's books cover whatever the provider has done."""
    report, stats = ran.report, work.stats
    assert report.rows_done + report.rows_failed + report.rows_left == report.rows
    assert report.doubt_requests >= stats.requests_served_twice
    assert report.doubt_tokens >= stats.tokens_served_twice
    counted = report.prompt_tokens + report.completion_tokens + report.doubt_tokens
    assert counted >= stats.prompt_tokens + stats.completion_tokens


# --- too large: split in half ---------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["413", "too_large"])
@in_virtual_time
async def test_a_request_that_is_too_large_is_halved_until_one_row_is_left(
    here: Path, fault: str
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed([*GOOD, f"[[fault={fault}]] large"]))

        assert ran.done == list(range(7))
        assert ran.failed == {7: ("request_too_large", 1)}
        assert ran.report.exit_code == 3
        assert work.stats.requests == 7  # of 8, 4+4, 2+2, 1+1
        assert ran.report.requests == 7
        audit(work, ran)


@in_virtual_time
async def test_more_tokens_than_a_request_may_have_are_split(here: Path) -> None:
    async with open_work(here, max_request_tokens=12) as work:
        ran = await work.run(work.embed(GOOD))

        assert ran.done == list(range(7))
        assert ran.report.exit_code == 0
        assert work.stats.by_status[400] == 3


@in_virtual_time
async def test_a_request_above_the_limit_of_a_minute_is_split_whatever_the_code(
    here: Path,
) -> None:
    async with open_work(here, tpm=25) as work:
        ran = await work.run(work.embed(GOOD))

        assert ran.done == list(range(7))
        assert ran.failed == {}
        assert work.stats.by_status[429] <= 3


# --- out of credit: paused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "said"), [("429_quota", "insufficient_quota"), ("402", "Insufficient Balance")]
)
@in_virtual_time
async def test_without_credit_the_job_is_paused_and_goes_on_later(
    here: Path, fault: str, said: str
) -> None:
    async with open_work(here) as work:
        spec = work.embed([f"[[fault={fault}*1]] a", *GOOD], max_inputs=2)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert ran.report.status == "paused"
        assert said in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.stats.requests == 1
        assert nothing_written(work)
        assert (await state_of(work, ran)).startswith("paused: the provider says")

        again = await work.run(spec)
        assert again.done == list(range(8))
        assert again.report.job == ran.report.job
        assert again.report.exit_code == 0
        assert work.stats.requests == 5


# --- a limit for a long time: paused --------------------------------------------------------------


@in_virtual_time
async def test_a_daily_limit_pauses_the_job_and_says_until_when(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.chat([*GOOD, "[[fault=429_daily*1]] b"], concurrency=1)
        ran = await work.run(spec)

        assert ran.report.exit_code == 5
        assert "for a longer time" in (ran.report.reason or "")
        assert ran.report.resume_at is not None
        assert ran.report.rows_failed == 0
        assert nothing_written(work)
        assert (await work.run(spec)).done == list(range(8))


@in_virtual_time
async def test_many_rows_at_a_daily_limit_are_halved_once_before_the_job_is_paused(
    here: Path,
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed(["[[fault=429_daily]] a", *GOOD]))

        assert ran.report.exit_code == 5
        assert ran.report.rows_failed == 0
        assert work.stats.by_status[429] == 2
        assert work.stats.requests <= 3


@in_virtual_time
async def test_a_quarter_of_an_hour_of_429_pauses_the_job(here: Path) -> None:
    async with open_work(here, retry_after=False) as work:
        ran = await work.run(work.chat(["[[fault=429]] a", "[[fault=429]] b"]))

        assert ran.report.exit_code == 5
        assert "429" in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert work.stats.rate_limited == 0
        assert 15 < work.stats.requests < 100


# --- rate limits: everyone waits, attempts untouched ----------------------------------------------


@pytest.mark.parametrize("fault", ["429", "429_slow_down"])
@in_virtual_time
async def test_a_rate_limit_takes_none_of_a_rows_attempts(here: Path, fault: str) -> None:
    async with open_work(here) as work:
        texts = [*GOOD, f"[[fault={fault}*9]] a", f"[[fault={fault}*9]][[fault=400]] b"]
        ran = await work.run(work.chat(texts))

        assert ran.done == list(range(8))
        assert ran.failed == {8: ("invalid_value", 1)}
        assert work.stats.by_status[429] == 18
        assert ran.report.doubt_requests == 0


@in_virtual_time
async def test_the_429s_of_one_burst_pause_everyone_once(here: Path) -> None:
    """Without ``retry-after`` the pause grows by episodes, not by the number of requests."""
    async with open_work(here, retry_after=False, latency_ms=50) as work:
        texts = [*words(60), *words(40, marker="[[fault=429*1]]")]
        started = work.now()
        ran = await work.run(work.chat(texts, rpm=1_000_000))

        assert ran.done == list(range(100))
        assert work.now() - started < 10


@in_virtual_time
async def test_a_429_that_says_wait_for_nothing_is_not_answered_by_a_hail_of_requests(
    here: Path,
) -> None:
    async with open_work(here, rpm=2, rate_limit_headers=False, retry_after=False) as work:
        ran = await work.run(work.chat(list(words(8))))

        assert ran.done == list(range(8))
        assert work.stats.rate_limited < 40


# --- every request would fail: stopped ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("401", "check OPENAI_API_KEY"),
        ("401_echo", "check OPENAI_API_KEY"),
        ("403", "permissions"),
        ("404", "--model and --base-url"),
        ("400_param", "temperature"),
        ("302", "HTTP 302"),
        ("418", "HTTP 418"),
    ],
)
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_what_fails_all_requests_alike_stops_the_job_after_one(
    here: Path, fault: str, advice: str, kind: str
) -> None:
    async with open_work(here) as work:
        texts = list(words(30, marker=f"[[fault={fault}*1]]"))
        spec = work.embed(texts, max_inputs=3) if kind == "embed" else work.chat(texts)
        ran = await work.run(spec)

        assert ran.report.exit_code == 2
        assert ran.report.status == "stopped"
        assert advice in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.stats.requests == 1
        assert nothing_written(work)
        assert (await state_of(work, ran)).startswith("paused: ")


@in_virtual_time
async def test_a_key_that_is_put_right_lets_the_job_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(here, api_key="the-right-one") as work:
        spec = work.chat(GOOD)
        assert (await work.run(spec)).report.exit_code == 2
        monkeypatch.setenv("OPENAI_API_KEY", "the-right-one")
        assert (await work.run(spec)).done == list(range(7))
        assert work.stats.by_status == {401: 1, 200: 7}


# --- parameters -----------------------------------------------------------------------------------


@in_virtual_time
async def test_max_tokens_is_renamed_for_the_rest_of_the_job_after_one_refusal(here: Path) -> None:
    async with open_work(here, latency_ms=20) as work:
        spec = work.chat([*GOOD, "[[fault=429_quota*1]] stop"], model=REASONER, max_tokens=9)
        ran = await work.run(spec)

        assert work.stats.by_status[400] == 1
        assert ran.report.exit_code == 5

        again = await work.run(spec)
        assert again.done == list(range(8))
        assert work.stats.by_status[400] == 1  # a resumed run need not learn it again
        assert all(record["finish_reason"] == "length" for record in again.records)


@in_virtual_time
async def test_encoding_format_is_dropped_where_a_server_refuses_it(here: Path) -> None:
    async with open_work(here, encoding_format=False, latency_ms=20) as work:
        ran = await work.run(work.embed(GOOD, max_inputs=1))

        assert ran.done == list(range(7))
        assert work.stats.by_status == {400: 1, 200: 7}


@pytest.mark.parametrize("text", ["encoding_format", "max_tokens, now max_completion_tokens"])
@in_virtual_time
async def test_a_refusal_that_echoes_a_row_is_not_taken_for_one_of_a_parameter(
    here: Path, text: str
) -> None:
    async with open_work(here) as work:
        bad = [f"{text} {n} [[fault=422_vllm]]" for n in range(3)]
        ran = await work.run(work.embed([*GOOD, *bad], max_inputs=2))

        assert ran.done == list(range(7))
        assert ran.failed == dict.fromkeys((7, 8, 9), ("UnprocessableEntityError", 1))
        assert ran.report.exit_code == 3


@in_virtual_time
async def test_a_parameter_that_is_refused_under_its_new_name_too_stops_the_job(
    here: Path,
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(GOOD, model=REASONER, max_tokens=9, params={"stop": 3}))
        assert ran.report.exit_code == 0  # the simulator takes any stop
        ran = await work.run(work.chat(GOOD, params={"temperature": 9}), output="b.jsonl")
        assert ran.report.exit_code == 2
        assert work.stats.by_status[400] == 2


# --- bad rows -------------------------------------------------------------------------------------


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
@pytest.mark.parametrize("fault", ["400", "422_vllm", "azure_content_filter"])
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
        audit(work, ran)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("400", "invalid_value"),
        ("422_vllm", "UnprocessableEntityError"),
        ("azure_content_filter", "content_filter"),
        ("content_filter", "content_filter"),
        ("refusal", "refusal"),
    ],
)
@in_virtual_time
async def test_a_row_that_the_provider_will_not_answer_is_a_dead_letter(
    here: Path, fault: str, code: str
) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat([*GOOD, f"[[fault={fault}]] a"]))

        assert ran.failed == {7: (code, 1)}
        assert ran.done == list(range(7))
        assert work.stats.requests == 8
        audit(work, ran)


# --- answers that are not what was asked for ------------------------------------------------------


@in_virtual_time
async def test_an_answer_that_was_cut_off_says_so(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat([*GOOD, "[[fault=length]] a"]))

        assert ran.report.exit_code == 0
        assert [record.get("finish_reason") for record in ran.records] == [None] * 7 + ["length"]


@pytest.mark.parametrize("fault", ["invalid_json", "length"])
@in_virtual_time
async def test_invalid_output_is_repaired_twice_at_most(here: Path, fault: str) -> None:
    async with open_work(here) as work:
        texts = [*GOOD, f"[[fault={fault}*2]] a", f"[[fault={fault}]] b"]
        ran = await work.run(work.classify(texts))

        assert ran.done == list(range(8))
        assert ran.failed == {8: ("invalid_output", 3)}
        assert work.stats.requests == 13
        tokens = work.stats.prompt_tokens, work.stats.completion_tokens
        assert (ran.report.prompt_tokens, ran.report.completion_tokens) == tokens
        assert ran.report.doubt_requests == 0


@pytest.mark.parametrize("fault", ["short", "duplicate_index", "wrong_dimension", "nan"])
@pytest.mark.parametrize("max_inputs", [1, 4])
@in_virtual_time
async def test_a_vector_that_is_none_is_asked_for_again(
    here: Path, fault: str, max_inputs: int
) -> None:
    async with open_work(here) as work:
        # In the last place, since `short` takes that one away.
        spec = work.embed([*GOOD, f"[[fault={fault}*2]] a"], max_inputs=max_inputs)
        ran = await work.run(spec)

        assert ran.done == list(range(8))
        assert {len(record["embedding"]) for record in ran.records} == {8}
        assert ran.report.exit_code == 0
        assert work.stats.faults[fault] == 2
        audit(work, ran)


@pytest.mark.parametrize("fault", ["short", "wrong_dimension", "nan"])
@in_virtual_time
async def test_a_vector_that_never_comes_is_a_dead_letter(here: Path, fault: str) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, f"[[fault={fault}]] a", *words(500, marker="more")]
        ran = await work.run(work.embed(texts, max_inputs=1, concurrency=4))

        codes = {"short": "missing_vector", "nan": "bad_vector"}
        assert ran.failed == {7: (codes.get(fault, fault), 6)}
        assert len(ran.records) == len(texts) - 1
        assert work.stats.faults[fault] == 6
        audit(work, ran)


# --- what may pass --------------------------------------------------------------------------------

PASSING = ["408", "409", "500", "502_html", "503", "disconnect", "reset", "garbage", "truncated"]
POSSIBLY_BILLED = {"disconnect", "reset", "garbage", "truncated", "hang"}


@pytest.mark.parametrize("fault", [*PASSING, "hang"])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_a_failure_that_passes_is_tried_again(here: Path, fault: str, kind: str) -> None:
    async with open_work(here) as work:
        texts = [*GOOD, f"[[fault={fault}*3]] a"]
        more: dict[str, Any] = {"timeout": 5.0}
        spec = work.embed(texts, **more) if kind == "embed" else work.chat(texts, **more)
        ran = await work.run(spec)

        assert ran.done == list(range(8))
        assert ran.report.exit_code == 0
        assert work.stats.faults[fault] == 3
        assert ran.report.doubt_requests == (3 if fault in POSSIBLY_BILLED else 0)
        assert ran.report.requests == work.stats.requests
        audit(work, ran)


@pytest.mark.parametrize("fault", [*PASSING, "hang"])
@in_virtual_time
async def test_a_failure_of_one_row_alone_is_a_dead_letter_after_six_attempts(
    here: Path, fault: str
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, f"[[fault={fault}]] a", *words(500, marker="more")]
        ran = await work.run(work.chat(texts, concurrency=5, timeout=5.0))

        assert [row for row, (_, attempts) in ran.failed.items() if attempts == 6] == [7]
        assert len(ran.done) == len(texts) - 1
        assert work.stats.faults[fault] == 6
        assert ran.report.exit_code == 3
        audit(work, ran)


@in_virtual_time
async def test_a_failure_of_many_rows_is_split_while_others_succeed(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = ["a", "b [[fault=500]]", "c", "d", *words(400)]
        ran = await work.run(work.embed(texts, max_inputs=4, concurrency=2))

        assert ran.failed == {1: ("server_error", 6)}
        assert len(ran.done) == len(texts) - 1
        assert work.stats.faults["500"] == 18  # of 4, of 2, and alone


@in_virtual_time
async def test_an_error_that_the_provider_calls_final_is_not_tried_six_times(here: Path) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, "[[fault=500_final]] a", *words(60)]
        ran = await work.run(work.chat(texts, concurrency=2))

        assert [code for code, _ in ran.failed.values()] == ["server_error"]
        assert work.stats.faults["500_final"] <= 2


@in_virtual_time
async def test_the_last_row_of_a_job_gets_its_six_attempts_too(here: Path) -> None:
    """Nobody is left to succeed beside it, but others did since it first failed."""
    async with open_work(here, latency_ms=100) as work:
        ran = await work.run(work.chat(["[[fault=500]] a", *GOOD], concurrency=4))

        assert ran.failed == {0: ("server_error", 6)}
        assert ran.done == list(range(1, 8))
