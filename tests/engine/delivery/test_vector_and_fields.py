"""A kind whose records have a vector and other fields: kept, carried over, and in every output."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.kinds import BaseKind, Broken, Done, Field, Invalid, Outcome, Prompt
from batcher.kinds.texts import TEXT
from tests.engine.answering import Body, answering
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words

TEXTS = [*words(20), "", *words(3)]
BLANK = 20


class Described(BaseKind):
    """What a text is about, and its vector."""

    name = "described"
    summary = "A word and a vector for each row."
    options = (TEXT,)
    endpoint = "/described"
    fields = (
        Field(name="vector", type="vector"),
        Field(name="word", type="text"),
        Field(name="size", type="int"),
    )
    packs = True
    max_pieces = 4

    def body(self, prompts: Sequence[Prompt], *, repair: Invalid | None = None) -> dict[str, Any]:
        return {"texts": [text for (text,) in prompts]}

    def parse(self, answer: Mapping[str, Any], count: int) -> list[Outcome]:
        found = answer.get("found")
        if not isinstance(found, list) or len(found) != count:
            return [Broken("missing", "the answer has another number of results")] * count
        return [Done(dict(one)) for one in found]


KIND = Described()


def result_of(text: str) -> dict[str, Any]:
    return {"vector": [float(len(text)), 0.5, -1.0], "word": text[:7], "size": 10**12 + len(text)}


def answer(body: Body, number: int) -> dict[str, Any]:
    """Answers of which the third holds a vector of another length and one that is none."""
    found = [result_of(text) for text in body["texts"]]
    if number == 3:
        found[0]["vector"] = [1.0]
        found[1]["vector"] = [1.0, None, 2.0]
    return {"found": found, "usage": {"prompt_tokens": 9}}


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint(name="described", value=f"{__name__}:KIND", group="batcher.kinds")
    monkeypatch.setattr(
        "batcher.adapters.system.installed_kinds.entry_points",
        lambda group: [*entry_points(group=group), entry],
    )


def job(work: Work, base_url: str, **settings: object) -> JobSpec:
    return work.kind("described", TEXTS, {"text": "text"}, base_url=base_url, **settings)


@in_virtual_time
async def test_both_are_in_every_output_and_a_wrong_vector_is_asked_for_again(here: Path) -> None:
    async with answering(answer) as asked, open_work(here) as work:
        ran = await work.run(job(work, asked.base_url))
        assert (ran.report.rows_done, ran.report.rows_failed) == (len(TEXTS) - 1, 1)
        assert len(asked) == 6 + 1, "the two whose vectors were wrong went again, together"
        wanted = {row: result_of(text) for row, text in enumerate(TEXTS) if text}
        records = {record["row"]: record for record in ran.records}
        assert {
            row: {name: record[name] for name in ("vector", "word", "size")}
            for row, record in records.items()
        } == wanted

        here_out = {ending: work.path(f"out.{ending}") for ending in ("csv", "parquet", "npy")}
        await work.runner.export(ran.report.job, output=str(here_out["csv"]))
        with here_out["csv"].open(newline="") as file:
            cells = list(csv.DictReader(file))
        assert list(cells[0]) == ["id", "text", "word", "size", "vector"]
        assert [json.loads(cell["vector"]) for cell in cells] == [
            one["vector"] for one in wanted.values()
        ]
        assert [int(cell["size"]) for cell in cells] == [one["size"] for one in wanted.values()]

        await work.runner.export(
            ran.report.job, output=str(here_out["parquet"]), failed_rows="null"
        )
        table = pq.read_table(here_out["parquet"])
        rows = table.to_pylist()
        assert len(rows) == len(TEXTS)
        assert rows[BLANK]["vector"] is rows[BLANK]["word"] is None
        del rows[BLANK]
        assert [row["vector"] for row in rows] == [one["vector"] for one in wanted.values()]
        assert [row["word"] for row in rows] == [one["word"] for one in wanted.values()]

        with pytest.raises(UsageError, match="npy holds only vectors"):
            await work.runner.export(ran.report.job, output=str(here_out["npy"]))

        results = [result async for result in work.runner.results(ran.report.job, failed="null")]
        assert [result.failed for result in results] == [row == BLANK for row in range(len(TEXTS))]
        for result in results:
            if not result.failed:
                one = wanted[result.row]
                assert np.array_equal(np.asarray(result.vector), np.float32(one["vector"]))
                assert result.value == {"word": one["word"], "size": one["size"]}


@in_virtual_time
async def test_both_are_carried_over_to_the_next_night(here: Path) -> None:
    async with answering(answer) as asked, open_work(here) as work:
        first = await work.run(job(work, asked.base_url, name="nightly", since_last=True))
        sent = len(asked)
        changed = [*TEXTS, "a new text"]
        spec = work.kind(
            "described",
            changed,
            {"text": "text"},
            base_url=asked.base_url,
            name="nightly",
            since_last=True,
        )
        second = await work.run(spec)
        assert [body["texts"] for body in asked.bodies[sent:]] == [["a new text"]]
        assert second.records[:-1] == first.records
        assert second.records[-1]["vector"] == result_of("a new text")["vector"]
