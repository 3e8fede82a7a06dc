"""``cost_columns``: what each record cost, all of it, and together what the job cost."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from batcher.core.errors import UsageError
from tests.engine.reuse.nights import FIRST, Nights, edited
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import EMBEDDER, GOOD, Ran, cancelled_ever_later, open_work, words

PRICE = "1000.000001,2000,100,1250"
COLUMNS = ("prompt_tokens", "completion_tokens", "cost_usd", "model")
ODD: dict[str, Any] = {"cached_share": 0.3, "written_share": 0.2, "reasoning_tokens": 3}


def total(records: Sequence[Mapping[str, Any]]) -> tuple[int, int, Decimal]:
    """The sums of the columns, money to the picodollar."""
    pico = Decimal("1e-12")
    return (
        sum(int(record["prompt_tokens"]) for record in records),
        sum(int(record["completion_tokens"]) for record in records),
        sum((Decimal(str(record["cost_usd"])).quantize(pico) for record in records), Decimal(0)),
    )


def add_up(ran: Ran, records: Sequence[Mapping[str, Any]] | None = None) -> bool:
    """Whether the records' costs are the job's, where no row failed."""
    report = ran.report
    whole = (report.prompt_tokens, report.completion_tokens, report.cost_usd)
    return total(ran.records if records is None else records) == whole and whole[0] > 0


@pytest.mark.parametrize("database", ["memory://", "b.db"])
@pytest.mark.parametrize("kind", ["chat", "classify", "embed"])
@in_virtual_time
async def test_each_record_says_what_it_cost(here: Path, kind: str, database: str) -> None:
    async with open_work(here, database=database, **ODD) as work:
        make = getattr(work, kind)
        texts = [f"{text} " * (number % 5 + 1) for number, text in enumerate(words(60))]
        more = {"max_inputs": 7} if kind == "embed" else {}
        spec = make(texts, price=PRICE, cost_columns=True, **more)
        ran = await work.run(spec)
        assert ran.done == list(range(60))
        assert add_up(ran)
        assert {record["model"] for record in ran.records} == {spec.model}
        assert all(0 < record["cost_usd"] < 1 for record in ran.records)
        if kind == "embed":  # a text that is five times as long costs five times as much
            assert ran.records[4]["prompt_tokens"] > 4 * ran.records[0]["prompt_tokens"]


@in_virtual_time
async def test_records_say_nothing_of_it_unless_asked(here: Path) -> None:
    async with open_work(here, database="b.db") as work:
        ran = await work.run(work.chat(GOOD, price=PRICE))
        assert set(ran.records[0]) == {"id", "row", "output"}
        (shard,) = [shard async for shard in work.runner._services.store.shards(ran.report.job)]
        assert shard.bills == ()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl.gz"])
@pytest.mark.parametrize("kind", ["chat", "embed"])
@in_virtual_time
async def test_every_format_has_them(here: Path, suffix: str, kind: str) -> None:
    async with open_work(here) as work:
        spec = getattr(work, kind)(GOOD, price=PRICE, cost_columns=True)
        ran = await work.run(spec, output="out.jsonl")
        await work.runner.export(ran.report.job, output=str(work.path(f"out.{suffix}")))
        if suffix == "parquet":
            table = pq.read_table(work.path("out.parquet"))
            records = table.select(COLUMNS).to_pylist()
            assert [str(table.schema.field(name).type) for name in COLUMNS] == [
                "int64", "int64", "double", "string",
            ]  # fmt: skip
            assert add_up(ran, records)
        elif suffix == "csv":
            with work.path("out.csv").open(newline="") as file:
                assert add_up(ran, list(csv.DictReader(file)))
        results = [result async for result in work.runner.results(ran.report.job)]
        assert [result.cost_usd for result in results] == [r["cost_usd"] for r in ran.records]


@in_virtual_time
async def test_a_column_of_the_same_name_stays_the_inputs(here: Path) -> None:
    async with open_work(here) as work:
        work.path("in.csv").write_text("id,model,text\na,theirs,some words\n")
        spec = work.chat(str(work.path("in.csv")), price=PRICE, cost_columns=True)
        await work.run(spec, output="out.csv")
        (record,) = csv.DictReader(work.path("out.csv").read_text().splitlines())
        assert record["model"] == "theirs"
        assert record["model_result"] == spec.model


@in_virtual_time
async def test_numpys_format_cannot_say_it(here: Path) -> None:
    async with open_work(here) as work:
        with pytest.raises(UsageError, match="cannot say what a vector cost"):
            await work.run(work.embed(GOOD, cost_columns=True), output="out.npy")
        assert work.stats.requests == 0


@in_virtual_time
async def test_without_a_price_money_is_not_known_and_tokens_are(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat(GOOD, model="nobody-knows-it", cost_columns=True))
        assert {record["cost_usd"] for record in ran.records} == {None}
        assert sum(record["prompt_tokens"] for record in ran.records) == ran.report.prompt_tokens


@in_virtual_time
async def test_repairs_are_the_rows_own(here: Path) -> None:
    async with open_work(here) as work:
        texts = [*words(8), *words(8, marker="[[fault=invalid_json*2]]")]
        ran = await work.run(work.classify(texts, price=PRICE, cost_columns=True))
        assert ran.done == list(range(16))
        assert add_up(ran)
        once, thrice = (ran.records[at]["prompt_tokens"] for at in (0, 8))
        assert thrice > 3 * once


@pytest.mark.parametrize("kind", ["classify", "embed"])
@in_virtual_time
async def test_what_was_paid_for_before_a_retry_counts(here: Path, kind: str) -> None:
    async with open_work(here, database="b.db") as work:
        fault = {"classify": "invalid_json*3", "embed": "nan*6"}[kind]
        texts = [*words(5), *words(2, marker=f"[[fault={fault}]]")]
        more = {"max_inputs": 1} if kind == "embed" else {}
        spec = getattr(work, kind)(texts, price=PRICE, cost_columns=True, **more)
        first = await work.run(spec)
        assert len(first.failed) == 2
        assert total(first.records)[2] < (first.report.cost_usd or 0)
        _, reopened = await work.runner.retry(first.report.job)
        assert reopened == 2
        second = await work.run(spec)
        assert second.done == list(range(7))
        assert add_up(second)
        dear, cheap = (total([second.records[at]])[2] for at in (5, 0))
        assert dear > 3 * cheap


@pytest.mark.parametrize("overlong", ["mean", "split", "truncate"])
@in_virtual_time
async def test_chunks_are_billed_with_their_record(here: Path, overlong: str) -> None:
    async with open_work(here) as work:
        texts = ["short", "a long text of words " * 20, *words(3)]
        ran = await work.run(
            work.embed(
                texts, overlong=overlong, max_input_tokens=16, max_inputs=3, price=PRICE,
                cost_columns=True,
            )
        )  # fmt: skip
        assert add_up(ran)
        of_long = [record for record in ran.records if record["row"] == 1]
        assert len(of_long) == (1 if overlong != "split" else len(ran.records) - 4)
        tokens = sum(record["prompt_tokens"] for record in of_long)
        assert tokens > 16 if overlong != "truncate" else tokens == 16


@in_virtual_time
async def test_what_a_wrong_model_sent_was_paid_for_and_counts(here: Path) -> None:
    """Vectors that are taken back are asked for again; both times are the row's."""
    async with open_work(here, database="b.db") as work:
        texts = ["[[fault=other_model*1]] a text", *words(20)]
        spec = work.embed(
            texts, price=PRICE, cost_columns=True, max_inputs=1, concurrency=1, model=EMBEDDER
        )
        ran = await work.run(spec)
        assert ran.done == list(range(21))
        assert add_up(ran)
        assert ran.report.prompt_tokens == work.stats.prompt_tokens


@pytest.mark.parametrize("kind", ["classify", "embed"])
@in_virtual_time
async def test_it_survives_whatever_interrupts_a_run(here: Path, kind: str) -> None:
    async with open_work(here, database="b.db", latency_ms=50) as work:
        texts = [*words(60), *words(9, marker="[[fault=invalid_json*1]]")]
        more = {"max_inputs": 3} if kind == "embed" else {}
        spec = getattr(work, kind)(
            texts, price=PRICE, cost_columns=True, concurrency=4, grace_seconds=0, **more
        )
        ran, cancelled = await cancelled_ever_later(work, spec, count(0, 40))
        assert cancelled > 2
        assert ran.done == list(range(69))
        assert add_up(ran)


@in_virtual_time
async def test_what_is_carried_over_costs_nothing(here: Path) -> None:
    async with open_work(here, database="b.db") as work:
        nights = Nights(work, "chat", price=PRICE, cost_columns=True)
        first = await nights.run(FIRST)
        assert add_up(first)
        second = await nights.run(edited(FIRST))
        assert add_up(second)
        carried = [record for record in second.records if record["cost_usd"] == 0]
        assert len(carried) == 37
        assert {tuple(record[name] for name in COLUMNS) for record in carried} == {
            (0, 0, 0.0, None)
        }


@in_virtual_time
async def test_a_job_that_did_not_keep_it_says_so(here: Path) -> None:
    """Before anything is paid for again; and a job that keeps it goes on keeping it."""
    async with open_work(here, database="b.db") as work:
        first = await work.run(work.chat(GOOD, price=PRICE))
        with pytest.raises(UsageError, match=f"{first.report.job} was begun without it.*--fresh"):
            await work.run(work.chat(GOOD, price=PRICE, cost_columns=True))
        anew = await work.run(work.chat(GOOD, price=PRICE, cost_columns=True), fresh=True)
        assert add_up(anew)
        again = await work.run(work.chat(GOOD, price=PRICE))
        assert again.report.job == anew.report.job
        assert add_up(again)
