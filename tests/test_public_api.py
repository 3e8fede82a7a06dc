"""What ``import batcher`` offers: fifteen names, imported late, and the results as values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import batcher

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("id,body\na,first text\nb,second text\nc,third text\n")
    return tmp_path


def embed(**more: object) -> batcher.JobSpec:
    plain = {"kind": "embed", "input": "in.csv", "model": "text-embedding-3-small", "id": "id"}
    options = {"text": "body", "dimensions": 8}
    return batcher.JobSpec.from_json(plain | {"options": options, "simulate": True} | more)


def test_there_are_fifteen_names_at_most_and_each_can_be_had() -> None:
    assert len(batcher.__all__) <= 15
    assert sorted(batcher.__all__) == batcher.__all__ == dir(batcher)
    for name in batcher.__all__:
        assert getattr(batcher, name) is not None
    assert batcher.__version__.startswith("0.")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = batcher.nothing


def test_every_public_name_says_what_it_is() -> None:
    for name in batcher.__all__:
        if name != "__version__":
            assert (getattr(batcher, name).__doc__ or "").strip(), name


def test_importing_batcher_imports_little() -> None:
    code = "import sys, batcher; print(*(m for m in sys.modules if m.startswith('batcher.')))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == ""


@pytest.mark.process
def test_no_run_waits_for_the_sdk_to_be_imported(workplace: Path) -> None:
    """`openai` takes a second to import, and is for the control plane alone."""
    code = """
import sys
import batcher
from batcher.cli.root import root

report = batcher.run(
    kind="chat", input="in.csv", model="gpt-6-luna", options={"prompt": "p.j2"}, simulate=True,
    output="out.jsonl",
)
for arguments in (["--help"], ["run", "chat", "--help"], ["jobs"]):
    try:
        root.main(arguments)
    except SystemExit as end:
        assert not end.code, end.code
print(report.status, "openai" in sys.modules, file=sys.stderr)
"""
    (workplace / "p.j2").write_text("Answer: {{ body }}")
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stderr.splitlines()[-1] == "complete False"


def test_run_takes_a_spec_or_its_fields(workplace: Path) -> None:
    report = batcher.run(embed(), output="vectors.npy")

    assert report.status == "complete"
    assert np.load(workplace / "vectors.npy").shape == (3, 8)
    same = batcher.run(
        kind="embed", input="in.csv", model="text-embedding-3-small", id="id",
        options={"text": "body", "dimensions": 8}, simulate=True,
    )  # fmt: skip
    assert same.job == report.job
    assert same.sent_nothing
    settings = batcher.Settings(database_url="other.db")
    assert batcher.run(embed(), settings=settings).job != report.job
    assert (workplace / "other.db").exists()


def test_run_looks_for_the_server_where_the_environment_says(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:x/v1")
    fields: dict[str, Any] = {"kind": "embed", "input": "in.csv", "model": "m"}
    fields["options"] = {"text": "body"}
    with pytest.raises(batcher.BatcherError, match=r"127\.0\.0\.1:x"):
        batcher.run(**fields)
    with pytest.raises(batcher.BatcherError, match=r"127\.0\.0\.1:y"):
        batcher.run(**fields, base_url="http://127.0.0.1:y/v1")


def test_run_refuses_a_spec_and_fields_together() -> None:
    with pytest.raises(TypeError, match="give a spec or its fields, not both: model"):
        batcher.run(embed(), model="m")  # type: ignore[call-overload]


def test_what_is_wrong_is_a_batcher_error(workplace: Path) -> None:
    with pytest.raises(batcher.BatcherError, match=r"nothing\.csv"):
        batcher.run(embed(input="nothing.csv"))
    with pytest.raises(batcher.BatcherError, match="embed has no option colour; it has "):
        batcher.run(kind="embed", input="in.csv", model="m", colour="red")


async def test_vectors_come_one_by_one_in_input_order(workplace: Path) -> None:
    async with batcher.open_runner() as runner:
        report = await runner.run(embed())
        results = [result async for result in runner.results(report.job)]

    assert [(result.row, result.id) for result in results] == [(0, "a"), (1, "b"), (2, "c")]
    for result in results:
        assert result.vector is not None
        assert result.vector.shape == (8,)
        assert result.vector.dtype == np.float32
        assert (result.chunk, result.start, result.end, result.value) == (None, None, None, {})
    assert repr(results[1]).startswith("<Result row 1: embedding=[")


async def test_values_come_with_their_fields(workplace: Path) -> None:
    options = {"text": "body", "labels": "one,other"}
    async with batcher.open_runner() as runner:
        report = await runner.run(embed(kind="classify", model="gpt-4.1-mini", options=options))
        results = [result async for result in runner.results(report.job)]

    assert [result.value["label"] in ("one", "other") for result in results] == [True] * 3
    assert all(result.vector is None for result in results)
    assert repr(results[0]) == f"<Result row 0: label={results[0].value['label']!r}>"


async def test_chunks_say_where_they_are(workplace: Path) -> None:
    (workplace / "in.csv").write_text("id,body\na," + "word " * 40 + "\nb,short\n")
    options = {"text": "body", "overlong": "split", "dimensions": 8}
    async with batcher.open_runner() as runner:
        report = await runner.run(embed(options=options, max_input_tokens=20))
        results = [result async for result in runner.results(report.job)]

    chunks = [(result.id, result.chunk) for result in results]
    assert chunks[0] == ("a", 0)
    assert chunks[-1] == ("b", 0)
    assert len(chunks) > 2
    starts = [result.start for result in results if result.id == "a"]
    ends = [result.end for result in results if result.id == "a"]
    assert starts[1:] == ends[:-1]
    assert repr(results[1]).startswith("<Result row 0 chunk 1: embedding=[")


async def test_an_estimate_sends_nothing(workplace: Path) -> None:
    async with batcher.open_runner() as runner:
        estimate = await runner.estimate(embed())

    assert isinstance(estimate, batcher.Estimate)
    assert (estimate.rows, estimate.requests) == (3, 1)
    assert estimate.cost_usd is not None


def test_the_example_runs(workplace: Path) -> None:
    script = [sys.executable, str(ROOT / "examples/api.py")]
    ran = subprocess.run(script, cwd=workplace, capture_output=True, text=True, check=True)

    assert "360 labels in labelled.jsonl" in ran.stdout
    assert "vectors of shape (360, 256)" in ran.stdout


async def test_run_works_while_a_loop_is_running(workplace: Path) -> None:
    report = batcher.run("embed", "in.csv", model="m", text="body", simulate=True)
    assert report.status == "complete"
