"""What every request meets alike: a run stops after a few, and learns what can be learned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, REASONER, nothing_written, open_work, state_of, words

# --- every request would fail: stopped ------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "advice", "requests"),
    [
        ("401", "check OPENAI_API_KEY", 4),
        ("401_echo", "check OPENAI_API_KEY", 4),
        ("403", "permissions", 4),
        ("404", "--model and --base-url", 4),
        ("404_html", "--model and --base-url", 13),
        ("404_vllm", "--model and --base-url", 4),
        ("azure_401_token", "Access token is missing", 4),
        ("400_param", "temperature", 4),
        ("400_unsupported", "refuses a parameter", 4),
        ("501_llama", "how it was started", 4),
        ("302", "redirected to /login", 4),
        ("418", "HTTP 418", 13),
    ],
)
@pytest.mark.parametrize("should_retry", [None, True])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_what_fails_all_requests_alike_stops_the_job_after_a_few(
    here: Path, fault: str, advice: str, requests: int, kind: str, should_retry: bool | None
) -> None:
    """Whatever ``x-should-retry`` says; fewer where the answer names what all requests share."""
    async with open_work(here, should_retry=should_retry) as work:
        started = work.now()
        texts = list(words(30, marker=f"[[fault={fault}]]"))
        spec = work.embed(texts, max_inputs=3) if kind == "embed" else work.chat(texts)
        ran = await work.run(spec)

        assert ran.report.exit_code == 2
        assert ran.report.status == "stopped"
        assert advice in (ran.report.reason or "")
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert work.stats.requests == requests
        assert work.now() - started < 5
        assert nothing_written(work)
        assert (await state_of(work, ran)).startswith("paused: ")


@pytest.mark.parametrize("fault", ["401", "403", "404", "404_html", "302", "418", "400_param"])
@pytest.mark.parametrize("kind", ["embed", "chat"])
@in_virtual_time
async def test_a_job_of_one_row_stops_too(here: Path, fault: str, kind: str) -> None:
    async with open_work(here) as work:
        texts = [f"[[fault={fault}]] alone"]
        ran = await work.run(work.embed(texts) if kind == "embed" else work.chat(texts))

        assert ran.report.exit_code == 2
        assert (ran.report.rows_done, ran.report.rows_failed) == (0, 0)
        assert nothing_written(work)


def served_once(count: int, fault: str) -> Iterator[str]:
    """Texts that a chat is answered for once, and refused for ever after."""
    return words(count, marker=f"[[fault=nan*1]][[fault={fault}]]")


@pytest.mark.parametrize("fault", ["401", "403", "404", "404_html", "302", "418", "400_param"])
@in_virtual_time
async def test_a_stop_in_the_middle_keeps_what_is_done(here: Path, fault: str) -> None:
    """A key that is revoked, a model that is taken down: probed first, and soon over."""
    async with open_work(here, latency_ms=100) as work:
        texts = [*served_once(20, fault), *words(40, marker=f"[[fault={fault}]]")]
        started = work.now()
        ran = await work.run(work.chat(texts, concurrency=8))

        assert ran.report.exit_code == 2
        assert ran.report.rows_failed == 0
        assert ran.report.rows_done == 20
        assert work.now() - started < 10
        assert nothing_written(work)
        assert work.stats.requests < 75
        assert work.stats.inputs_served_twice == 0


# --- one request is refused, others are not: its own ----------------------------------------------


OWN = ["401", "403", "404", "404_html", "302", "418", "400_param", "501_llama"]


@pytest.mark.parametrize("fault", OWN)
@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("place", [0, 20, 39])
@in_virtual_time
async def test_a_stray_refusal_passes(here: Path, fault: str, kind: str, place: int) -> None:
    async with open_work(here, latency_ms=20) as work:
        texts = list(words(40))
        texts[place] += f" [[fault={fault}*1]]"
        spec = work.embed(texts, max_inputs=4) if kind == "embed" else work.chat(texts)
        ran = await work.run(spec)

        assert ran.report.exit_code == 0
        assert ran.done == list(range(40))
        assert work.stats.inputs_served_twice == 0


@pytest.mark.parametrize("fault", OWN)
@pytest.mark.parametrize("inputs", [1, 4, 40])
@pytest.mark.parametrize("place", [0, 20, 39])
@pytest.mark.parametrize("concurrency", [1, 100])
@in_virtual_time
async def test_a_row_that_is_always_refused_is_a_dead_letter(
    here: Path, fault: str, inputs: int, place: int, concurrency: int
) -> None:
    """The first or the last, alone or in the only request: a firewall in front, say."""
    async with open_work(here, latency_ms=20) as work:
        texts = list(words(40))
        texts[place] += f" [[fault={fault}]]"
        started = work.now()
        ran = await work.run(work.embed(texts, max_inputs=inputs, concurrency=concurrency))

        if (fault, place, inputs) != ("401", 39, 1):
            assert ran.report.exit_code == 3
            assert list(ran.failed) == [place]
            assert ran.done == [row for row in range(40) if row != place]
            assert work.now() - started < 30
            assert work.stats.inputs_served_twice == 0


@pytest.mark.parametrize("bad", [5, 9])
@in_virtual_time
async def test_several_refused_rows_at_the_beginning_stop_nothing(here: Path, bad: int) -> None:
    async with open_work(here, latency_ms=20) as work:
        texts = [*words(bad, marker="[[fault=404_html]]"), *words(20)]
        ran = await work.run(work.chat(texts))

        assert list(ran.failed) == list(range(bad))
        assert ran.done == list(range(bad, bad + 20))


@in_virtual_time
async def test_refused_rows_among_others_stop_nothing(here: Path) -> None:
    """Refusals come faster than answers: what is in flight is waited for."""
    async with open_work(here, latency_ms=2000) as work:
        texts = [*words(50), *words(30, marker="[[fault=404_html]]"), *words(50, marker="more")]
        ran = await work.run(work.chat(texts))

        assert list(ran.failed) == list(range(50, 80))
        assert len(ran.done) == 100


@in_virtual_time
async def test_a_redirect_says_where_to(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(["[[fault=302]] a"]))
        assert "redirected to" in (ran.report.reason or "")


@in_virtual_time
async def test_a_path_that_is_none_stops_the_job(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(GOOD, base_url=f"{work.simulator.url}/v2"))

        assert ran.report.exit_code == 2
        assert "--base-url" in (ran.report.reason or "")
        assert set(work.stats.by_status) == {404}


@in_virtual_time
async def test_a_key_that_is_put_right_lets_the_job_go_on(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(here, api_key="the-right-one") as work:
        spec = work.chat(GOOD)
        assert (await work.run(spec)).report.exit_code == 2
        monkeypatch.setenv("OPENAI_API_KEY", "the-right-one")
        assert (await work.run(spec)).done == list(range(7))
        assert work.stats.by_status == {401: 4, 200: 7}


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
        assert work.stats.by_status[400] == 1 + 4  # the name, and a few of what is refused
