"""200, with an answer that is not what was asked for: never a result as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, audit, open_work, words


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


NO_VECTORS = {
    "short": "missing_vector",
    "duplicate_index": "wrong_index",
    "wrong_dimension": "wrong_dimension",
    "other_model": "wrong_dimension",
    "nan": "bad_vector",
    "inf": "bad_vector",
    "bad_base64": "bad_vector",
}


@pytest.mark.parametrize("fault", NO_VECTORS)
@pytest.mark.parametrize("max_inputs", [1, 4])
@pytest.mark.parametrize("base64", [True, False])
@in_virtual_time
async def test_a_vector_that_is_none_is_asked_for_again(
    here: Path, fault: str, max_inputs: int, base64: bool
) -> None:
    async with open_work(here, encoding_format=base64) as work:
        # In the last place, since `short` takes that one away.
        spec = work.embed([*GOOD, f"[[fault={fault}*2]] a"], max_inputs=max_inputs)
        ran = await work.run(spec)

        assert ran.done == list(range(8))
        assert {len(record["embedding"]) for record in ran.records} == {8}
        assert ran.report.exit_code == 0
        assert work.stats.faults[fault] == 2
        audit(work, ran.report)


@pytest.mark.parametrize(("fault", "code"), NO_VECTORS.items())
@in_virtual_time
async def test_a_vector_that_never_comes_is_a_dead_letter(
    here: Path, fault: str, code: str
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, f"[[fault={fault}]] a", *words(500, marker="more")]
        ran = await work.run(work.embed(texts, max_inputs=1, concurrency=4))

        assert ran.failed == {7: (code, 6)}
        assert len(ran.records) == len(texts) - 1
        assert work.stats.faults[fault] == 6
        audit(work, ran.report)


@pytest.mark.parametrize(("fault", "code"), [("short", "no_choice"), ("no_content", "no_content")])
@pytest.mark.parametrize("kind", ["chat", "classify"])
@in_virtual_time
async def test_a_chat_without_an_answer_is_asked_again_and_in_the_end_a_dead_letter(
    here: Path, fault: str, code: str, kind: str
) -> None:
    async with open_work(here, latency_ms=1000) as work:
        texts = [*GOOD, f"[[fault={fault}*2]] a", f"[[fault={fault}]] b", *words(500, marker="c")]
        spec = work.chat if kind == "chat" else work.classify
        ran = await work.run(spec(texts, concurrency=4))

        assert ran.failed == {8: (code, 6)}
        assert len(ran.done) == len(texts) - 1
        assert work.stats.faults[fault] == 8
        assert ran.report.doubt_requests == 8
        audit(work, ran.report)
