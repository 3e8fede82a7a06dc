"""Every JSON value and every Arrow type, through check, plan, outputs, repetition and estimate."""

from __future__ import annotations

import asyncio
import csv
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batcher.adapters.formats.arrow_storage import writable
from batcher.adapters.formats.arrow_values import plain_column
from batcher.core.answers import text_of
from batcher.core.errors import InputError
from batcher.core.job.spec import JobSpec
from batcher.core.text import exactjson
from batcher.engine.job.report import Report
from tests.engine.arrow_inputs import ODD_NAMES, columns, tables
from tests.engine.virtual_time import VirtualLoop
from tests.engine.workbench import Work, open_work

OUTPUTS = ("out.jsonl", "out.csv", "out.parquet")
SLOW = settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXTS = st.text(max_size=8)
NUMBERS = (
    st.integers()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([Decimal("1e400"), Decimal("-2.5e309"), Decimal("3" * 4400), 2**63, 2**64])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.dictionaries(ODD_NAMES.filter("id".__ne__), VALUES, max_size=4)
IDS = st.booleans() | NUMBERS | TEXTS.filter(bool)


def in_a_place_of_its_own(work_on: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
    """Each example has a provider, a runner and a directory that no other has seen."""

    async def work() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with open_work(Path(directory)) as opened:
                await work_on(opened)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work())


def embed(work: Work, name: str, **more: Any) -> JobSpec:
    return work.embed(str(work.path(name)), name="nightly", since_last=True, **more)


async def exported(work: Work, report: Report) -> None:
    for output in OUTPUTS:
        await work.runner.export(report.job, output=str(work.path(output)))


async def sent_and_again(work: Work, spec: JobSpec, later: JobSpec) -> Report:
    """Estimate and run a job, then another of its name; returns the first one's report."""
    estimated = await work.runner.estimate(spec)
    first = await work.runner.run(spec)
    assert first.status == "complete"
    assert first.rows_done + first.rows_failed == first.rows == estimated.rows
    assert first.rows_failed == estimated.rows_unusable
    assert {letter.code async for letter in work.runner.errors(first.job)} <= {"empty_input"}
    second = await work.runner.run(later)
    assert second.incremental is not None
    assert second.incremental.carried_over == first.rows_done
    assert second.incremental.changed == 0
    return first


def lines(path: Path) -> list[Any]:
    return [exactjson.loads(line) for line in path.read_bytes().split(b"\n") if line]


def cells(path: Path) -> list[dict[str, str]]:
    csv.field_size_limit(1 << 24)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def in_a_cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else exactjson.dumps(value)


def same(cell: str, value: Any) -> bool:
    """Whether a cell says the value; a number may be spelled in more than one way."""
    if value is None or isinstance(value, str):
        return cell == in_a_cell(value)
    return repr(exactjson.loads(cell)) == repr(value)


@SLOW
@given(
    st.lists(
        st.tuples(IDS, VALUES, RECORDS), min_size=1, max_size=4, unique_by=lambda r: in_a_cell(r[0])
    )
)
def test_any_json_value_comes_back(rows: Sequence[tuple[Any, Any, dict[str, Any]]]) -> None:
    records = [{"id": id_, "text": text, **more} for id_, text, more in rows]

    async def through(work: Work) -> None:
        text = "".join(exactjson.dumps(record) + "\n" for record in records)
        work.path("in.jsonl").write_text(text, encoding="utf-8")
        work.path("later.jsonl").write_text(text + '{"id": "new one", "text": "x"}\n', "utf-8")
        first = await sent_and_again(work, embed(work, "in.jsonl"), embed(work, "later.jsonl"))
        done = [record for record in records if text_of(record, "text").strip()]
        assert first.rows_done == len(done)
        await exported(work, first)
        found = lines(work.path("out.jsonl"))
        assert repr([record["id"] for record in found]) == repr([r["id"] for r in done])
        await in_columns(work, done)

    in_a_place_of_its_own(through)


async def in_columns(work: Work, done: list[dict[str, Any]]) -> None:
    """What the records hold stands in the columns of CSV and Parquet, too."""
    in_csv = cells(work.path("out.csv"))
    in_parquet = pq.read_table(work.path("out.parquet")).to_pylist()
    assert len(in_csv) == len(in_parquet) == len(done)
    for record, row, typed in zip(done, in_csv, in_parquet, strict=True):
        for name, value in record.items():
            assert same(row[name], value)
            of_type = typed[name]
            assert repr(of_type) == repr(value) or (
                same(of_type, value) if isinstance(of_type, str) else of_type == value
            )


@SLOW
@given(tables())
def test_any_arrow_type_comes_back_with_its_type(table: Any) -> None:
    async def through(work: Work) -> None:
        pq.write_table(table, work.path("in.parquet"))
        read = pq.ParquetFile(work.path("in.parquet")).read()
        doubled = pa.concat_tables([read, read.slice(0, 1)])
        later = pa.table([column.combine_chunks() for column in doubled.columns], doubled.schema)
        pq.write_table(later, work.path("later.parquet"))
        plain = {name: plain_column(read.column(name)) for name in read.column_names}
        sendable = [bool(text_of({"text": text}, "text").strip()) for text in plain["text"]]
        first = await sent_and_again(
            work, embed(work, "in.parquet", id=None), embed(work, "later.parquet", id=None)
        )
        assert first.rows_done == sum(sendable)
        await exported(work, first)

        out = pq.ParquetFile(work.path("out.parquet")).read()
        kept = out.select(range(read.num_columns))
        assert kept.schema.names == read.schema.names
        assert kept.schema.types == list(map(writable, read.schema.types))
        in_csv = cells(work.path("out.csv"))
        for name in read.column_names:
            done = [value for value, sent in zip(plain[name], sendable, strict=True) if sent]
            assert repr(plain_column(kept.column(name))) == repr(done)
            assert repr([row[name] for row in in_csv]) == repr(list(map(in_a_cell, done)))

    in_a_place_of_its_own(through)


def are_ids(values: list[Any]) -> bool:
    fit = all(
        isinstance(value, str | int | float) and value != "" and not exactjson.holds_nan(value)
        for value in values
    )
    return fit and len(set(map(in_a_cell, values))) == len(values)


@SLOW
@given(st.data())
def test_any_arrow_column_is_an_id_or_is_refused_in_the_check(data: Any) -> None:
    ids = data.draw(columns(3))
    table = pa.table([ids, pa.array(["a", "b", "c"])], names=["id", "text"])

    async def through(work: Work) -> None:
        pq.write_table(table, work.path("in.parquet"))
        plain = plain_column(pq.ParquetFile(work.path("in.parquet")).read().column("id"))
        running = work.runner.run(embed(work, "in.parquet"))
        if not are_ids(plain):
            with pytest.raises(InputError, match=r"in\.parquet: row \d: the .*'id'"):
                await running
            assert work.stats.requests == 0
            return
        await exported(work, await running)
        found = [record["id"] for record in lines(work.path("out.jsonl"))]
        assert repr(found) == repr(plain)

    in_a_place_of_its_own(through)
