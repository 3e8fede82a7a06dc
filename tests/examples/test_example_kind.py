"""The example of a kind in a package of its own: it keeps the contract, is installed, and runs."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batcher.core.kind import Broken, Done, Invalid
from batcher.kinds.testing import check_kind
from tests.engine.answering import Body, answering
from tests.examples.installing import install_package, run_installed

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "rerank"
OPTIONS: dict[str, Any] = {"text": "body", "query": "which is long?"}


def load() -> Any:
    spec = importlib.util.spec_from_file_location("rerank", EXAMPLE / "batcher_rerank.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.KIND


def answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """As a server would: the best first."""
    results: list[dict[str, Any]] = [
        {"index": index, "relevance_score": len(text) / 100}
        for index, text in enumerate(body["documents"])
    ]
    if body.get("return_embeddings"):
        for result in results:
            result["embedding"] = [result["relevance_score"], -1.0]
    results.sort(key=lambda result: -result["relevance_score"])
    return {"results": results, "usage": {"prompt_tokens": 9}}


def test_the_document_shows_it_as_it_is() -> None:
    document = (EXAMPLE.parent.parent / "docs" / "kinds.md").read_text(encoding="utf-8")
    for name in ("batcher_rerank.py", "pyproject.toml"):
        text = (EXAMPLE / name).read_text(encoding="utf-8")
        assert f"\n{text}```\n" in document


@pytest.mark.parametrize("embeddings", [False, True])
def test_it_keeps_the_contract_of_kinds(embeddings: bool) -> None:
    options = {**OPTIONS, "embeddings": embeddings}
    records = [{"body": "x" * size} for size in range(1, 130)]
    check_kind(load(), options, records, answer)


def test_a_row_whose_score_is_not_certain_has_none() -> None:
    bound = load().bind(OPTIONS)
    results: list[Any] = [
        {"index": 0, "relevance_score": 0.5},
        {"index": 0, "relevance_score": 0.7},
        {"index": 1, "relevance_score": "high"},
        {"index": 2, "relevance_score": 0},
        {"index": 4, "relevance_score": None},
        {"index": 9, "relevance_score": 1},
        None,
    ]
    repeated, no_score, done, missing, null = bound.parse({"results": results}, 5)
    assert isinstance(repeated, Broken)
    assert isinstance(no_score, Broken)
    assert isinstance(missing, Broken)
    assert done == Done({"score": 0})
    assert isinstance(null, Invalid)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package is installed."""
    return install_package(EXAMPLE, tmp_path_factory.mktemp("installed"))


def test_it_is_installed_and_run_from_the_command_line(installed: Path, tmp_path: Path) -> None:
    """Two rows have no score at first, and are asked for again, alone and otherwise."""
    rows = [{"id": number, "body": "x" * (number % 90 + 1)} for number in range(250)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked_for: list[tuple[int, bool]] = []

    def respond(body: Body, _: int) -> dict[str, Any]:
        again = "max_tokens_per_doc" in body
        asked_for.append((len(body["documents"]), again))
        assert body["model"] == "rerank-v4"
        whole = answer(body)
        for result in whole["results"]:
            if result["relevance_score"] == 0.77 and not again:
                result["relevance_score"] = None
        return whole

    async def run() -> str:
        async with answering(respond) as asked:
            code, said = await run_installed(
                installed,
                tmp_path,
                *("rerank", "in.jsonl", "--id", "id"),
                *("--text", "body", "--query", OPTIONS["query"], "--model", "rerank-v4"),
                *("--base-url", asked.base_url, "--embeddings", "-o", "out.jsonl", "--quiet"),
            )
            assert code == 0, said
            return said

    asyncio.run(run())
    first = [count for count, again in asked_for if not again]
    assert sorted(first) == [50, 100, 100]
    assert [count for count, again in asked_for if again] == [1, 1]
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == list(range(250))
    scores = [len(str(row["body"])) / 100 for row in rows]
    assert [record["score"] for record in records] == scores
    vectors = np.array([[score, -1.0] for score in scores], dtype=np.float32)
    assert np.array_equal(np.array([r["embedding"] for r in records], dtype=np.float32), vectors)
    assert list(records[0]) == ["id", "row", "score", "embedding"]
