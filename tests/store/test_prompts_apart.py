"""What needs no prompt reads none: all of it goes as ever where the prompts are gone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import DamagedStore
from batcher.core.job.spec import JobSpec
from batcher.settings import Settings
from batcher.wiring import open_runner


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"r{number},text {number}\n" for number in range(20))
    Path("in.csv").write_text(f"id,text\n{rows}", encoding="utf-8")
    return tmp_path


def spec(kind: str = "embed", **more: Any) -> JobSpec:
    options = {"text": "text"} if kind == "embed" else {"text": "text", "labels": "alpha,beta"}
    model = "text-embedding-3-small" if kind == "embed" else "gpt-4o-mini"
    return JobSpec(
        kind=kind, input="in.csv", id="id", model=model, simulate=True,
        options={**options, **more.pop("options", {})}, **more,
    )  # fmt: skip


def lose_prompts() -> None:
    with closing(sqlite3.connect("b.db")) as raw:
        assert raw.execute("SELECT count(*) FROM shard_prompts").fetchone() != (0,)
        raw.execute("DELETE FROM shard_prompts")
        raw.commit()


def open_it() -> Any:
    return open_runner(Settings(database_url="b.db"))


@pytest.mark.parametrize("options", [{}, {"overlong": "split"}, {"overlong": "mean"}])
async def test_an_export_reads_no_prompt(options: dict[str, str]) -> None:
    async with open_it() as runner:
        report = await runner.run(spec(options=options, max_input_tokens=9), output="out.jsonl")
        lose_prompts()
        await runner.export(report.job, output="again.jsonl")
        assert len([result async for result in runner.results(report.job)]) == 20
    assert Path("again.jsonl").read_bytes() == Path("out.jsonl").read_bytes()


async def test_a_comparison_and_an_estimate_read_no_prompt() -> None:
    nightly = spec("classify", name="nightly", since_last=True)
    async with open_it() as runner:
        await runner.run(nightly)
        lose_prompts()
        Path("in.csv").write_text(Path("in.csv").read_text() + "new,text\n", encoding="utf-8")
        estimate = await runner.estimate(nightly)
        assert (estimate.requests, estimate.incremental.carried_over) == (1, 20)
        report = await runner.run(nightly)
        assert (report.incremental.carried_over, report.incremental.new) == (20, 1)


async def test_a_job_whose_prompts_are_gone_sends_nothing_and_says_so() -> None:
    async with open_it() as runner:
        await runner.submit(spec())
        lose_prompts()
        with pytest.raises(DamagedStore, match="texts of requests"):
            await runner.run(spec())
