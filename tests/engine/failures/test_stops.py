"""What every request would meet alike: a run stops after one, and learns what can be learned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, REASONER, nothing_written, open_work, state_of, words

# --- every request would fail: stopped ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "advice"),
    [
        ("401", "check OPENAI_API_KEY"),
        ("401_echo", "check OPENAI_API_KEY"),
        ("403", "permissions"),
        ("404", "--model and --base-url"),
        ("404_html", "--model and --base-url"),
        ("404_vllm", "--model and --base-url"),
        ("azure_401_token", "Access token is missing"),
        ("400_param", "temperature"),
        ("400_unsupported", "refuses a parameter"),
        ("501_llama", "how it was started"),
        ("302", "HTTP 302"),
        ("418", "HTTP 418"),
    ],
)
@pytest.mark.parametrize("should_retry", [None, True])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_what_fails_all_requests_alike_stops_the_job_after_one(
    here: Path, fault: str, advice: str, kind: str, should_retry: bool | None
) -> None:
    """Whatever ``x-should-retry`` says."""
    async with open_work(here, should_retry=should_retry) as work:
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


@pytest.mark.parametrize("fault", ["401", "404", "400_param"])
@in_virtual_time
async def test_a_stop_in_the_middle_keeps_what_is_done(here: Path, fault: str) -> None:
    async with open_work(here, latency_ms=100) as work:
        texts = [*words(20), f"[[fault={fault}*1]] a", *words(20, marker="more")]
        ran = await work.run(work.chat(texts, concurrency=2))

        assert ran.report.exit_code == 2
        assert ran.report.rows_failed == 0
        assert 19 <= ran.report.rows_done <= 22
        assert nothing_written(work)
        again = await work.run(work.chat(texts, concurrency=2))
        assert again.done == list(range(41))
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_path_that_is_none_stops_the_job(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(GOOD, base_url=f"{work.simulator.url}/v2"))

        assert ran.report.exit_code == 2
        assert "--base-url" in (ran.report.reason or "")
        assert work.stats.by_status == {404: 1}


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
