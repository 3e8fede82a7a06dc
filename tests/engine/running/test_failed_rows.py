"""``--failed-rows null``: an output that has every input row, and is otherwise as it was."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.engine.shards.arrow_records import ArrowRecords, encode_arrow
from batcher.engine.shards.payload import decode_records
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CHATTER, EMBEDDER, LABELS, Work, open_work

KINDS: dict[str, dict[str, Any]] = {
    "embed": {"options": {"text": "text"}, "model": EMBEDDER, "max_inputs": 3},
    "embed-mean": {
        "options": {"text": "text", "overlong": "mean"}, "model": EMBEDDER, "max_input_tokens": 8,
        "max_inputs": 1,
    },
    "embed-split": {
        "options": {"text": "text", "overlong": "split"}, "model": EMBEDDER, "max_input_tokens": 8,
        "max_inputs": 1,
    },
    "classify": {"options": {"text": "text", "labels": LABELS}, "model": CHATTER},
    "chat": {"options": {"text": "text", "max_tokens": 5}, "model": CHATTER},
}  # fmt: skip
FIELDS = {"embed": "embedding", "classify": "label", "chat": "output"}


def texts_of(seed: int, rows: int) -> list[str]:
    """Some are empty, some fail, some are long."""
    chance = Random(seed)
    kinds = ["", "[[fault=400*9]] broken", "fine", "a text that is rather long " * 3]
    return [chance.choice(kinds) for _ in range(rows)]


def spec_of(work: Work, kind: str, source: str, **more: Any) -> JobSpec:
    settings = dict(KINDS[kind])
    options = settings.pop("options")
    return work.kind(kind.split("-")[0], source, options, **{**settings, **more})


def read(path: Path) -> list[dict[str, Any]]:
    """The records of an output, cells without text as None."""
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            return [{k: v or None for k, v in row.items()} for row in csv.DictReader(file)]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def exported(work: Work, job: str, name: str, failed_rows: str) -> list[dict[str, Any]]:
    path = work.path(f"{failed_rows}-{name}")
    await work.runner.export(job, output=str(path), failed_rows=failed_rows)
    return read(path)


@in_virtual_time
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
async def test_every_row_is_there_in_its_place_and_the_others_are_the_same(
    here: Path, kind: str, seed: int
) -> None:
    texts = texts_of(seed, 30)
    field = FIELDS[kind.split("-")[0]]
    async with open_work(here) as work:
        spec = spec_of(work, kind, work.write(texts), cost_columns=True)
        report = await work.runner.run(spec)
        failed = {letter.row async for letter in work.runner.errors(report.job)}
        assert failed
        for name in ("out.jsonl", "out.csv", "out.parquet"):
            omitted = await exported(work, report.job, name, "omit")
            whole = await exported(work, report.job, name, "null")
            assert [record for record in whole if record[field] is not None] == omitted
            nulls = [record for record in whole if record[field] is None]
            assert [record["id"] for record in nulls] == [f"r{row}" for row in sorted(failed)]
            ids = list(dict.fromkeys(record["id"] for record in whole))
            assert ids == [f"r{row}" for row in range(30)]
            if name != "out.jsonl":
                assert [record["text"] or "" for record in nulls] == [
                    texts[row] for row in sorted(failed)
                ]


@in_virtual_time
@pytest.mark.parametrize("kind", ["embed", "chat"])
async def test_an_output_of_nothing_but_failures_has_them_all(here: Path, kind: str) -> None:
    async with open_work(here) as work:
        report = await work.runner.run(spec_of(work, kind, work.write([""] * 5)))
        for name in ("out.jsonl", "out.csv", "out.parquet"):
            whole = await exported(work, report.job, name, "null")
            assert [record[FIELDS[kind]] for record in whole] == [None] * 5


@in_virtual_time
async def test_a_run_writes_it_and_its_manifest_says_so(here: Path) -> None:
    async with open_work(here) as work:
        spec = spec_of(work, "chat", work.write(["a", "", "b"]))
        path = here / "out.jsonl"
        for failed_rows, rows in (("null", [0, 1, 2]), ("omit", [0, 2]), ("null", [0, 1, 2])):
            report = await work.runner.run(spec, output=str(path), failed_rows=failed_rows)
            ran = work.read(report)
            assert ran.done == rows
            assert ran.manifest is not None
            said = any("--failed-rows null" in note for note in ran.manifest.get("notes", ()))
            assert said == (failed_rows == "null")
            assert ran.manifest["rows"] == {"total": 3, "done": 2, "failed": 1}
            assert list(ran.failed) == [1]
        assert work.stats.requests == 2


@in_virtual_time
async def test_the_columns_of_a_parquet_input_keep_their_types(here: Path) -> None:
    schema = pa.schema([
        pa.field("id", pa.int64(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("tags", pa.list_(pa.int8())),
    ])  # fmt: skip
    rows = [{"id": n, "text": "" if n % 3 else "fine", "tags": [n]} for n in range(9)]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), here / "in.parquet")
    async with open_work(here) as work:
        report = await work.runner.run(spec_of(work, "embed", str(here / "in.parquet")))
        whole = await exported(work, report.job, "out.parquet", "null")
        assert [{k: record[k] for k in ("id", "text", "tags")} for record in whole] == rows
        assert [record["embedding"] is None for record in whole] == [bool(n % 3) for n in range(9)]
        written = pq.read_schema(here / "null-out.parquet")
        assert written.field("tags").type == schema.field("tags").type


@in_virtual_time
async def test_rows_that_could_not_be_read_have_their_number(here: Path) -> None:
    (here / "bad.csv").write_text("id,text\nr0,a\nr1\nr2,b\n", encoding="utf-8")
    async with open_work(here) as work:
        spec = spec_of(work, "chat", str(here / "bad.csv"), on_bad_row="skip")
        report = await work.runner.run(spec)
        whole = await exported(work, report.job, "out.jsonl", "null")
        assert [(record["row"], record["output"] is None) for record in whole] == [
            (0, False), (1, True), (2, False),
        ]  # fmt: skip
        assert [r["text"] for r in await exported(work, report.job, "out.csv", "null")] == [
            "a", None, "b",
        ]  # fmt: skip


@in_virtual_time
async def test_what_cannot_have_null_is_refused_before_anything_is_sent(here: Path) -> None:
    async with open_work(here) as work:
        spec = spec_of(work, "embed", work.write(["a"]))
        with pytest.raises(UsageError, match=r"\.npy has no null"):
            await work.runner.run(spec, output=str(here / "o.npy"), failed_rows="null")
        with pytest.raises(UsageError, match="--failed-rows is one of omit, null"):
            await work.runner.run(spec, output=str(here / "o.csv"), failed_rows="keep")
        assert work.stats.requests == 0


def test_rows_without_arrow_values_are_null_in_their_places() -> None:
    """Of a Parquet input, a row that could not be read is not among the columns that were kept."""
    schema = pa.schema([
        pa.field("a", pa.int64(), nullable=False),
        pa.field("b", pa.dictionary(pa.int8(), pa.string())),
        pa.field("c", pa.struct([pa.field("d", pa.list_(pa.binary(2)))])),
        pa.field("e", pa.decimal128(9, 2)),
    ])  # fmt: skip
    batch = pa.RecordBatch.from_pylist(
        [{"a": n, "b": f"b{n}", "c": {"d": [b"xy"]}, "e": None} for n in range(3)], schema=schema
    )
    kept = [None, (batch, 0), (batch, 1), None, (batch, 2), None]
    records = decode_records(encode_arrow(kept))
    assert isinstance(records, ArrowRecords)
    assert records.pick([1, 4]).column("a").to_pylist() == [0, 2]
    found = records.pick_or_null([0, 1, 3, 4, 5])
    assert found.column("a").to_pylist() == [None, 0, None, 2, None]
    assert found.column("b").to_pylist() == [None, "b0", None, "b2", None]
    assert [type_.id for type_ in found.schema.types] == [type_.id for type_ in schema.types]
