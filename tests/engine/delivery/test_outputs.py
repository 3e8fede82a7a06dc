"""From rows to files: what is too long, what is empty, and the four formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from batcher.adapters.providers.tokenizer import open_tokenizer
from batcher.core.errors import UsageError
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import EMBEDDER, open_work, words

LIMIT = 8
LONG = "The quick brown fox jumps over the lazy dog — naïvely, 日本語も少し — then again. " * 2
TEXTS = ["short one", LONG, "another short", "", LONG[:60] + " 🙂🙂🙂 " + LONG[:40]]


@in_virtual_time
async def test_a_text_that_is_too_long_is_a_dead_letter_by_itself(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.embed(TEXTS, max_input_tokens=LIMIT))

        assert ran.done == [0, 2]
        long, empty = ("input_too_long", 0), ("empty_input", 0)
        assert ran.failed == {1: long, 3: empty, 4: long}
        assert work.stats.requests == 1
        assert work.stats.inputs_served == 2


@in_virtual_time
async def test_truncate_embeds_the_beginning(here: Path) -> None:
    async with open_work(here, max_input_tokens=LIMIT) as work:
        ran = await work.run(work.embed(TEXTS, max_input_tokens=LIMIT, overlong="truncate"))

        assert ran.done == [0, 1, 2, 4]
        assert ran.failed == {3: ("empty_input", 0)}
        assert work.stats.inputs_served == 4


@pytest.mark.parametrize("max_inputs", [1, 3, 2048])
@in_virtual_time
async def test_the_chunks_of_a_split_cover_the_text(here: Path, max_inputs: int) -> None:
    async with open_work(here, max_input_tokens=LIMIT) as work:
        spec = work.embed(TEXTS, max_input_tokens=LIMIT, overlong="split", max_inputs=max_inputs)
        ran = await work.run(spec)

        tokenizer = open_tokenizer(EMBEDDER)
        for row in (1, 4):
            chunks = [record for record in ran.records if record["row"] == row]
            assert [record["chunk"] for record in chunks] == list(range(len(chunks)))
            assert len(chunks) > 2
            at = 0
            for record in chunks:
                assert TEXTS[row][at : record["start"]].strip() == ""  # blank chunks are left out
                at = record["end"]
                piece = TEXTS[row][record["start"] : at]
                assert tokenizer.count([piece])[0] <= LIMIT
            assert TEXTS[row][at:].strip() == ""
        (short,) = [record for record in ran.records if record["row"] == 0]
        assert (short["chunk"], short["start"], short["end"]) == (0, 0, len(TEXTS[0]))
        assert ran.done == sorted(ran.done)


@pytest.mark.parametrize("max_inputs", [1, 3, 2048])
@in_virtual_time
async def test_mean_is_the_mean_of_the_chunks_weighted_by_tokens(
    here: Path, max_inputs: int
) -> None:
    async with open_work(here, max_input_tokens=LIMIT, latency_ms=50) as work:
        settings: dict[str, Any] = {"max_input_tokens": LIMIT, "max_inputs": max_inputs}
        split = await work.run(work.embed(TEXTS, overlong="split", **settings))
        mean = await work.run(work.embed(TEXTS, overlong="mean", **settings), output="mean.jsonl")

        tokenizer = open_tokenizer(EMBEDDER)
        assert mean.done == [0, 1, 2, 4]
        for record in mean.records:
            row = record["row"]
            chunks = [chunk for chunk in split.records if chunk["row"] == row]
            vectors = np.array([chunk["embedding"] for chunk in chunks], dtype=np.float64)
            weights = [
                tokenizer.count([TEXTS[row][chunk["start"] : chunk["end"]]])[0] for chunk in chunks
            ]
            expected = np.average(vectors, axis=0, weights=weights)
            if len(chunks) > 1:
                expected /= np.linalg.norm(expected)
            np.testing.assert_allclose(record["embedding"], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("overlong", ["mean", "split"])
@in_virtual_time
async def test_one_dead_chunk_makes_the_row_one_dead_letter(here: Path, overlong: str) -> None:
    async with open_work(here, max_input_tokens=12) as work:
        texts = ["fine", "some words before it all [[fault=400]] " + "and more words " * 12, "good"]
        spec = work.embed(texts, max_input_tokens=12, overlong=overlong)
        ran = await work.run(spec)

        assert ran.done == [0, 2]
        assert [error["row"] for error in ran.errors] == [1]
        assert (ran.report.rows_done, ran.report.rows_failed) == (2, 1)


@in_virtual_time
async def test_the_four_formats_hold_the_same(here: Path) -> None:
    async with open_work(here) as work:
        source = work.path("in.csv")
        source.write_text("id,text,embedding\n" + "".join(f"r{n},t {n},x\n" for n in range(9)))
        spec = work.embed(str(source))
        ran = await work.run(spec)
        for name in ("out.csv", "out.parquet", "out.npy"):
            await work.run(spec, output=name)

        assert work.stats.requests == 1
        vectors = np.array([record["embedding"] for record in ran.records], dtype=np.float32)
        with (here / "out.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["id"] for row in rows] == [f"r{n}" for n in range(9)]
        assert {row["embedding"] for row in rows} == {"x"}
        from_csv = np.array([json.loads(row["embedding_result"]) for row in rows], dtype=np.float32)
        np.testing.assert_array_equal(from_csv, vectors)
        table = pq.read_table(here / "out.parquet").to_pydict()
        from_parquet = np.array(table["embedding_result"], dtype=np.float32)
        np.testing.assert_array_equal(from_parquet, vectors)
        np.testing.assert_array_equal(np.load(here / "out.npy"), vectors)


@in_virtual_time
async def test_npy_is_refused_where_rows_failed(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([*words(3), "[[fault=400]] a"])
        with pytest.raises(UsageError, match="no vector") as caught:
            await work.run(spec, output="out.npy")
        assert caught.value.exit_code == 3
        assert [path.name for path in here.glob("out.*")] == ["out.npy.errors.jsonl"]
        sent = work.stats.requests
        assert (await work.run(spec)).done == [0, 1, 2]
        assert work.stats.requests == sent


@in_virtual_time
async def test_npy_is_refused_for_chunks_before_anything_is_sent(here: Path) -> None:
    async with open_work(here) as work:
        with pytest.raises(UsageError, match="npy"):
            await work.run(work.embed(list(words(3)), overlong="split"), output="out.npy")
        assert work.stats.requests == 0


@in_virtual_time
async def test_the_manifest_says_what_the_provider_counted(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(work.chat([*words(5), "[[fault=400]] a", "[[fault=500*2]] b"]))

        stats = work.stats
        assert ran.manifest is not None
        assert ran.manifest == ran.report.manifest()
        assert ran.manifest["rows"] == {"total": 7, "done": 6, "failed": 1}
        assert ran.manifest["requests"] == stats.requests
        counted = {"prompt": stats.prompt_tokens, "completion": stats.completion_tokens}
        tokens = {**counted, "cached": 0, "cache_written": 0, "reasoning": 0}
        assert ran.manifest["tokens"] == tokens
        assert ran.manifest["status"] == "complete"
        assert ran.manifest["billed_twice_at_most"]["requests"] == 0
        assert ran.manifest["cost_usd"] > 0
