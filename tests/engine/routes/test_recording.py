"""What was answered is kept, and given again: the same results, without the provider."""

from __future__ import annotations

import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from batcher.core.errors import UsageError
from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.runner import Runner
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.engine.answering import Body, answering, asked, chat
from tests.engine.virtual_time import LoopClock, in_virtual_time
from tests.engine.workbench import CANARY_KEY, open_work

TEXTS = [
    *(f"text number {number}" for number in range(60)),
    "[[fault=500*2]] a text that fails twice",
    "[[fault=400]] a text that is refused",
    "",
]


@asynccontextmanager
async def runner(here: Path, name: str, **settings: Any) -> AsyncIterator[Runner]:
    """A runner with a database of its own."""
    given = Settings(database_url=str(here / f"{name}.db"), **settings)
    async with open_runner(given, clock=LoopClock(), chance=Random(1)) as opened:
        yield opened


def of(report: Report, path: Path) -> list[dict[str, Any]]:
    assert report.rows_done
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["chat", "embed", "classify"])
@in_virtual_time
async def test_a_replay_has_the_results_of_the_run_that_was_recorded(here: Path, kind: str) -> None:
    answers = here / "answers.jsonl"
    async with open_work(here) as work:
        spec: JobSpec = getattr(work, kind)(TEXTS)
        async with runner(here, "first", record=answers) as first:
            recorded = await first.run(spec, output=str(here / "first.jsonl"))
        sent = work.stats.requests
    assert recorded.rows_failed == 2
    assert stat.S_IMODE(answers.stat().st_mode) == 0o600
    assert CANARY_KEY not in answers.read_text()
    assert sent >= 1

    # The provider is gone: who still asks it gets no answer.
    replayed_spec = JobSpec.from_json({**spec.to_json(), "via": "replay"})
    async with runner(here, "second", replay=answers) as second:
        replayed = await second.run(replayed_spec, output=str(here / "second.jsonl"))
    assert of(replayed, here / "second.jsonl") == of(recorded, here / "first.jsonl")
    assert replayed.rows_failed == 2
    assert replayed.job != recorded.job
    assert any(note.startswith("replayed: ") for note in replayed.notes)


@in_virtual_time
async def test_it_is_another_job_than_that_of_the_provider(here: Path) -> None:
    answers = here / "answers.jsonl"
    async with open_work(here) as work:
        spec = work.chat(TEXTS[:5])
        async with runner(here, "one", record=answers, replay=answers) as one:
            await one.run(spec)
            replayed = await one.run(JobSpec.from_json({**spec.to_json(), "via": "replay"}))
            assert replayed.this_run is not None
            assert replayed.rows_done == 5
            assert len(await one.jobs()) == 2


@in_virtual_time
async def test_what_was_asked_is_kept_where_that_is_wanted_alone(here: Path) -> None:
    async with open_work(here) as work:
        for name, wanted in (("without", False), ("with", True)):
            path = here / f"{name}.jsonl"
            async with runner(here, name, record=path, record_requests=wanted) as one:
                await one.run(work.chat(TEXTS[:3]))
            assert ("text number 1" in path.read_text()) == wanted


@in_virtual_time
async def test_a_request_that_was_not_recorded_stops_the_job_and_is_told(here: Path) -> None:
    answers = here / "answers.jsonl"
    async with open_work(here) as work:
        async with runner(here, "one", record=answers) as one:
            await one.run(work.chat(TEXTS[:30]))
        others = work.write(TEXTS[30:60], "others.jsonl")
        other = JobSpec.from_json({**work.chat(others).to_json(), "via": "replay"})
        more = JobSpec.from_json({**work.chat(TEXTS[:31]).to_json(), "via": "replay"})
        async with runner(here, "two", replay=answers) as two:
            report = await two.run(other)
            assert report.exit_code == 2
            assert "record it with --record" in (report.reason or "")
            report = await two.run(more)
            assert (report.rows_done, report.rows_failed) == (30, 1)


@in_virtual_time
async def test_the_last_answer_to_a_request_counts(here: Path) -> None:
    """A run that met rate limits, errors and answers of no use is replayed without them."""
    bad: list[Any] = [b"{", {"choices": []}, chat("half of", "error")]

    def answer(body: Body, count: int) -> Any:
        return bad[count - 1] if count <= len(bad) else chat(f"of {asked(body)}")

    answers = here / "answers.jsonl"
    async with answering(answer) as served, open_work(here) as work:
        spec = work.chat(["one text"], base_url=served.base_url)
        async with runner(here, "one", record=answers) as one:
            await one.run(spec, output=str(here / "a.jsonl"))
        tries = len(served)
    assert tries == len(answers.read_text().splitlines()) > 1
    async with runner(here, "two", replay=answers) as two:
        report = await two.run(
            JobSpec.from_json({**spec.to_json(), "via": "replay"}), output=str(here / "b.jsonl")
        )
    assert report.requests == 1
    assert (here / "a.jsonl").read_text() == (here / "b.jsonl").read_text()


@in_virtual_time
async def test_a_line_that_a_killed_run_did_not_end_does_no_harm(here: Path) -> None:
    answers = here / "answers.jsonl"
    async with open_work(here) as work:
        async with runner(here, "one", record=answers) as one:
            await one.run(work.chat(TEXTS[:4]))
        whole = answers.read_bytes()
        lines = whole.splitlines(keepends=True)
        answers.write_bytes(b"".join(lines[:3]) + lines[3][: len(lines[3]) // 2])
        async with runner(here, "two", record=answers) as two:
            await two.run(work.chat(TEXTS[3:6]))
        spec = JobSpec.from_json({**work.chat(TEXTS[:6]).to_json(), "via": "replay"})
        async with runner(here, "three", replay=answers) as three:
            assert (await three.run(spec)).rows_done == 6


@pytest.mark.parametrize("content", ["id,body\n1,a\n", '{"a": 1}\n', "[]\n"])
@in_virtual_time
async def test_a_file_of_something_else_is_neither_read_nor_written(
    here: Path, content: str
) -> None:
    path = here / "other.csv"
    path.write_text(content)
    async with open_work(here) as work:
        spec = work.chat(TEXTS[:3])
        async with runner(here, "one", record=path) as one:
            with pytest.raises(UsageError, match=r"other\.csv:1: this is not a recorded answer"):
                await one.run(spec)
        replay = JobSpec.from_json({**spec.to_json(), "via": "replay"})
        async with runner(here, "two", replay=path) as two:
            with pytest.raises(UsageError, match=r"other\.csv:1: this is not a recorded answer"):
                await two.run(replay)
        async with runner(here, "three") as three:
            with pytest.raises(UsageError, match="--via replay FILE"):
                await three.run(replay)
        assert work.stats.requests == 0
    assert path.read_text() == content
