"""A kind of several rows a request: packed by its own limits, and each row stands for itself."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.job.spec import JobSpec
from tests.engine.answering import Body, answering
from tests.engine.kinds.packing_kind import INSTRUCTIONS
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CHATTER, Work, open_work, words

TEXTS = [*words(23)]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(
        name="packing", value="tests.engine.kinds.packing_kind:KIND", group="batcher.kinds"
    )
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), entry],
    )


def job(work: Work, base_url: str, **settings: object) -> JobSpec:
    return work.kind("packing", TEXTS, {"text": "text"}, base_url=base_url, **settings)


def all_short(body: Body) -> dict[str, Any]:
    texts = body["texts"]
    return {
        "words": {str(number): "short" for number in range(len(texts))},
        "usage": {"prompt_tokens": 100, "completion_tokens": 10},
    }


@in_virtual_time
async def test_a_request_carries_what_the_kind_allows_and_counts_its_prompt_once(
    here: Path,
) -> None:
    async with answering(lambda body, _: all_short(body)) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url))
        assert [len(body["texts"]) for body in asked.bodies] == [5, 5, 5, 5, 3]
        assert [record["word"] for record in ran.records] == ["short"] * 23

        tokenizer = open_tokenizer(CHATTER)
        pieces = sum(count + 2 for count in tokenizer.count(TEXTS))
        (fixed,) = tokenizer.count([INSTRUCTIONS])
        estimate = await work.runner.estimate(job(work, asked.base_url))
        assert estimate.requests == 5
        assert estimate.prompt_tokens == pieces + 5 * (fixed + 2 + 7)


@in_virtual_time
async def test_tokens_of_a_request_are_those_of_its_prompt_and_its_rows(here: Path) -> None:
    tokenizer = open_tokenizer(CHATTER)
    (fixed,) = tokenizer.count([INSTRUCTIONS])
    most = max(tokenizer.count(TEXTS)) + 2
    async with answering(lambda body, _: all_short(body)) as asked, open_work(here) as work:
        await work.run(job(work, asked.base_url, max_request_tokens=fixed + 9 + 2 * most))
        assert {len(body["texts"]) for body in asked.bodies} <= {1, 2, 3}
        assert max(len(body["texts"]) for body in asked.bodies) >= 2


@in_virtual_time
async def test_more_rows_a_request_than_the_kind_allows_are_not_sent(here: Path) -> None:
    said: list[str] = []
    async with answering(lambda body, _: all_short(body)) as asked, open_work(here) as work:
        report = await work.runner.run(job(work, asked.base_url, max_inputs=9), on_told=said.append)
        assert "note: --max-inputs: a request of packing carries 5 rows at most" in said
        assert max(len(body["texts"]) for body in asked.bodies) == 5
        assert report.exit_code == 0


@in_virtual_time
async def test_only_what_is_invalid_or_missing_is_asked_for_again_and_alone(here: Path) -> None:
    """One row of each request is answered in another word once, one never, one is left out."""
    seen: Counter[str] = Counter()

    def answer(body: Body, _: int) -> dict[str, Any]:
        told = all_short(body)
        for number, text in enumerate(body["texts"]):
            seen[text] += 1
            at = TEXTS.index(text)
            if at % 5 == 1 and seen[text] == 1:
                told["words"][str(number)] = f"middling {at}"
            elif at == 2:
                told["words"][str(number)] = "never"
            elif at % 5 == 3 and seen[text] == 1:
                del told["words"][str(number)]
        return told

    async with answering(answer) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url))

    assert ran.failed == {2: ("invalid_output", 3)}
    assert ran.done == [row for row in range(23) if row != 2]
    again = asked.bodies[5:]
    assert all(len(body["texts"]) == 1 for body in again)
    repairs = {body["texts"][0]: body["repair"] for body in again if "repair" in body}
    assert repairs == {
        **{TEXTS[at]: f"middling {at}" for at in range(1, 23, 5)},
        TEXTS[2]: "never",
    }
    assert {text for text, times in seen.items() if times == 1} == {
        text for at, text in enumerate(TEXTS) if at % 5 not in (1, 3) and at != 2
    }


@in_virtual_time
async def test_the_first_answers_of_many_invalid_rows_are_counted_as_answers(here: Path) -> None:
    """Twenty answers are enough to stop, whatever they carry: not one of twenty rows."""

    def answer(body: Body, _: int) -> dict[str, Any]:
        return {"words": {str(number): "no" for number in range(len(body["texts"]))}}

    async with answering(answer) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url, concurrency=1))
        assert ran.report.exit_code == 2
        assert len(asked) == 20
        assert "each of the first 20 answers is invalid" in (ran.report.reason or "")
