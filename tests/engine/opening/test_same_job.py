"""The same job again: what is complete is not sent, what differs is another job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from batcher.adapters.system.installed_kinds import InstalledKinds
from batcher.core.errors import UsageError
from batcher.core.kind import Kind
from batcher.core.model import JobState
from batcher.engine.opening.intake import Intake, KindChanged
from jobs.classify import KIND as CLASSIFY
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CHATTER, EMBEDDER, LABELS, MIXED, open_work, words


@in_virtual_time
async def test_a_complete_job_sends_nothing_and_writes_what_is_missing(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed(MIXED, max_inputs=3, concurrency=6)
        first = await work.run(spec)
        sent = work.stats.requests
        again = await work.run(spec)

        assert again.report.sent_nothing
        assert again.records == first.records
        (here / "out.jsonl").unlink()
        assert (await work.run(spec)).records == first.records
        assert (await work.run(spec, output="other.jsonl")).records == first.records
        assert work.stats.requests == sent


@in_virtual_time
async def test_fresh_begins_anew(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.chat(list(words(5)))
        first = await work.run(spec)
        again = await work.run(spec, fresh=True)

        assert again.report.job != first.report.job
        assert again.records == first.records
        assert work.stats.requests == 10


@in_virtual_time
async def test_other_contents_options_or_rows_are_another_job(here: Path) -> None:
    async with open_work(here) as work:
        source = work.write(list(words(5)))
        specs = [
            work.chat(source),
            work.chat(source, limit=4),
            work.chat(source, max_tokens=9),
            work.chat(source, params={"seed": 1}),
            work.chat(source, model="gpt-4o"),
            work.chat(work.write([*words(4), "another"], "b.jsonl")),
        ]
        jobs = {(await work.run(spec, overwrite=True)).report.job for spec in specs}
        assert len(jobs) == len(specs)
        same = work.chat(source, concurrency=3, rpm=9, timeout=5.0, api_key_env="PATH")
        assert (await work.run(same, overwrite=True)).report.job in jobs


@in_virtual_time
async def test_limit_takes_the_first_rows(here: Path) -> None:
    async with open_work(here) as work:
        source = work.write(list(words(50)))
        ran = await work.run(work.embed(source, limit=7))
        assert ran.done == list(range(7))
        assert (ran.report.rows, work.stats.inputs_served) == (7, 7)
        assert (await work.run(work.embed(source, limit=99), overwrite=True)).done == list(
            range(50)
        )


@in_virtual_time
async def test_dead_letters_are_retried_once_the_fault_is_gone(here: Path) -> None:
    async with open_work(here) as work:
        texts = [*words(6), "[[fault=400*1]] a", "", "[[fault=400*2]] b"]
        spec = work.embed(texts, max_inputs=1)
        ran = await work.run(spec)
        assert sorted(ran.failed) == [6, 7, 8]

        report, reopened = await work.runner.retry(ran.report.job)
        assert reopened == 2
        assert report.status == JobState.OPEN
        again = await work.run(spec)
        assert again.done == [0, 1, 2, 3, 4, 5, 6]
        assert again.failed == {7: ("empty_input", 0), 8: ("invalid_value", 1)}
        assert again.report.rows_done == 7

        await work.runner.retry(ran.report.job)
        last = await work.run(spec)
        assert last.failed == {7: ("empty_input", 0)}
        assert last.done == [0, 1, 2, 3, 4, 5, 6, 8]
        assert work.stats.inputs_served_twice == 0


@in_virtual_time
async def test_a_retry_of_nothing_but_empty_rows_leaves_the_job_complete(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([*words(2), ""])
        ran = await work.run(spec)
        report, reopened = await work.runner.retry(ran.report.job)
        assert (report.status, reopened) == (JobState.COMPLETE, 0)


@in_virtual_time
async def test_stale_errors_are_removed(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.embed([*words(2), "[[fault=400*1]] a"], max_inputs=1)
        ran = await work.run(spec)
        assert ran.report.errors is not None
        assert len(ran.errors) == 1
        await work.runner.retry(ran.report.job)
        again = await work.run(spec)
        assert again.report.errors is None
        assert not (here / "out.jsonl.errors.jsonl").exists()
        assert again.manifest is not None
        assert again.manifest["rows"] == {"total": 3, "done": 3, "failed": 0}


@in_virtual_time
@pytest.mark.parametrize(
    ("kind", "options", "again"),
    [
        ("embed", {"template": "{text}: {{{text}}}"}, "--template is not a Jinja2"),
        ("embed", {"template": "{text}: {id}"}, ""),
        ("classify", {"text": "text", "labels": LABELS, "instructions": "Of {{ text }}"}, None),
        ("classify", {"text": "text", "labels": LABELS, "instructions": "Choose."}, ""),
    ],
)
async def test_a_job_that_was_begun_before_texts_were_templates_goes_on(
    here: Path, kind: str, options: dict[str, str], again: str | None
) -> None:
    """By workers as it was planned; by the same command, unless its words mean otherwise now."""
    async with open_work(here) as work:
        model = EMBEDDER if kind == "embed" else CHATTER
        spec = work.kind(kind, list(words(3)), options, model=model)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("batcher.engine.opening.intake.read_files", lambda *_: {})
            planned = await work.runner.submit(spec)
        services = work.runner._services
        job = await services.store.job(planned.job)
        rebound = await Intake(services).rebind(job)
        assert rebound.fingerprint(job.facts) == job.fingerprint
        if again:
            with pytest.raises(UsageError, match=again):
                await work.runner.run(spec)
        else:
            same = (await work.runner.run(spec)).job == planned.job
            assert same == (again == "")


SECOND_VERSION, FIRST_VERSION = cast(tuple[Kind, Kind], CLASSIFY.earlier)


@contextmanager
def as_it_was(kind: Kind) -> Iterator[None]:
    """An installation that has an earlier version of a kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InstalledKinds, "get", lambda self, name: kind)
        yield


@in_virtual_time
async def test_a_job_of_an_earlier_version_goes_on_as_that(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.classify(list(words(5)))
        with as_it_was(FIRST_VERSION):
            planned = await work.runner.submit(spec)
        told: list[str] = []
        done = await work.runner.run(spec, on_told=told.append)
        assert done.job == planned.job
        assert done.rows_done == 5
        assert told == [
            f"job {done.job} continues with version 1 of classify, with which it began; --fresh "
            "starts again with version 2"
        ]
        again = await work.runner.run(spec)
        assert (again.job, again.sent_nothing) == (done.job, True)

        anew = await work.runner.run(spec, fresh=True)
        assert anew.job != done.job
        told.clear()
        assert (await work.runner.run(spec, on_told=told.append)).job == anew.job
        assert told == []


@in_virtual_time
@pytest.mark.parametrize("confidence", [False, True])
async def test_a_job_of_version_2_goes_on_and_only_confidences_are_told(
    here: Path, confidence: bool
) -> None:
    async with open_work(here) as work:
        spec = work.classify(list(words(5)))
        spec = replace(spec, options={**spec.options, "confidence": confidence})
        with as_it_was(SECOND_VERSION):
            planned = await work.runner.submit(spec)
        told: list[str] = []
        done = await work.runner.run(spec, on_told=told.append)
        assert done.job == planned.job
        assert len(told) == confidence
        assert all("with version 2" in note and "with version 3" in note for note in told)


@in_virtual_time
async def test_a_job_whose_options_were_understood_otherwise_is_another(here: Path) -> None:
    async with open_work(here) as work:
        spec = work.classify(list(words(3)))
        spec = replace(spec, options={"text": "text", "labels": 'card,"transfer, abroad"'})
        with as_it_was(FIRST_VERSION):
            planned = await work.runner.submit(spec)
        told: list[str] = []
        done = await work.runner.run(spec, on_told=told.append)
        assert done.job != planned.job
        assert told == []


@in_virtual_time
async def test_a_worker_goes_on_with_a_job_of_an_earlier_version(here: Path) -> None:
    async with open_work(here) as work:
        with as_it_was(FIRST_VERSION):
            planned = await work.runner.submit(work.classify(list(words(3))))
        services = work.runner._services
        bound = await Intake(services).rebind(await services.store.job(planned.job))
        assert bound.kind_version == 1
        with (
            as_it_was(replace_version(FIRST_VERSION, 3)),
            pytest.raises(KindChanged, match="has version 3"),
        ):
            await Intake(services).rebind(await services.store.job(planned.job))


def replace_version(kind: Kind, version: int) -> Kind:
    other = copy(kind)
    other.version = version
    return other
