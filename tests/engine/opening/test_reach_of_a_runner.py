"""A runner that was given what jobs may reach: a service whose submitters are not its operator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import BatcherError, NotAllowed, UsageError
from batcher.core.job.delivery import DeliverySpec
from batcher.core.job.providers import ProviderConfig
from batcher.core.job.reach import Reach
from batcher.core.job.spec import JobSpec
from batcher.engine.runner import Runner
from batcher.ports import OutputSchema, SinkRequest
from batcher.settings import Settings
from batcher.simulator import Simulator, SimulatorConfig, serve
from batcher.wiring import open_runner

SECRET = "the content of a file that nobody may read"
FILES = ("labels.txt", "prompt.j2", "notes", "in.csv", "out.jsonl.manifest.json")


@dataclass(frozen=True)
class Service:
    """A runner whose jobs may read below ``in`` and write below ``out``."""

    runner: Runner
    simulator: Simulator
    here: Path

    def spec(self, kind: str, **changes: Any) -> JobSpec:
        given: dict[str, Any] = {
            "kind": kind,
            "input": "in/rows.csv",
            "model": "gpt-4o-mini",
            "base_url": self.simulator.base_url,
            "api_key_env": "SERVICE_KEY",
        }
        return JobSpec(**{**given, **changes})

    def classify(self, labels_file: str, **changes: Any) -> JobSpec:
        options = {"text": "text", "labels_file": labels_file}
        return self.spec("classify", options=options, **changes)

    def chat(self, prompt: str, **changes: Any) -> JobSpec:
        return self.spec("chat", options={"prompt": prompt}, **changes)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two folders that are allowed, and beside them what is not, with links that lead there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVICE_KEY", "sk-service")
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    for folder in ("in", "out", "secret", "in/.hidden"):
        (tmp_path / folder).mkdir()
    for name in FILES:
        (tmp_path / "secret" / name).write_text(f'{{"job": "{SECRET}"}}\n')
        (tmp_path / "in/.hidden" / name).write_text(SECRET)
        (tmp_path / "in" / f"link-{name}").symlink_to(tmp_path / "secret" / name)
    (tmp_path / "in/up").symlink_to(tmp_path)
    (tmp_path / "in/rows.csv").write_text("text\na red one\na green one\n")
    (tmp_path / "in/labels.txt").write_text("red\ngreen\n")
    (tmp_path / "in/prompt.j2").write_text("Say: {{ text }}")
    return tmp_path


@asynccontextmanager
async def service(here: Path) -> AsyncIterator[Service]:
    async with serve(SimulatorConfig(api_key="sk-service")) as simulator:
        own = ProviderConfig(name="own", base_url=simulator.base_url, api_key_env="SERVICE_KEY")
        reach = Reach(
            providers={"own": own},
            sources=(str(here / "in"),),
            destinations=(str(here / "out"),),
        )
        async with open_runner(Settings(database_url="b.db"), reach=reach) as runner:
            yield Service(runner, simulator, here)


async def refused(service: Service, spec: JobSpec, output: str | None = None) -> str:
    """The words of the refusal; nothing was sent, kept or written."""
    with pytest.raises(NotAllowed) as error:
        await service.runner.run(spec, output=output)
    assert service.simulator.stats.requests == 0
    assert SECRET not in str(error.value)
    return str(error.value)


def ways_to(name: str, here: Path) -> list[str]:
    """A file that may not be read, by all ways that lead there."""
    return [
        f"secret/{name}",
        str(here / "secret" / name),
        f"in/../secret/{name}",
        f"in/link-{name}",
        f"in/up/secret/{name}",
        f"in/.hidden/{name}",
        f"./secret//{name}",
    ]


async def test_what_is_allowed_is_read_sent_and_written(here: Path) -> None:
    async with service(here) as at:
        for number, spec in enumerate(
            [
                at.classify("in/labels.txt"),
                at.chat("in/prompt.j2"),
                at.chat("Answer in one word: {{ text }}"),
                at.chat("{{ text }}/{{ text }}.txt"),
            ]
        ):
            report = await at.runner.run(spec, output=f"out/{number}.jsonl")
            assert (report.status, report.rows_done) == ("complete", 2)
            assert (here / f"out/{number}.jsonl").exists()


async def test_no_file_of_an_option_is_read_from_elsewhere(here: Path) -> None:
    async with service(here) as at:
        for path in [*ways_to("labels.txt", here), "-", "/dev/stdin", "/proc/self/environ"]:
            assert "may not read" in await refused(at, at.classify(path))
        for path in ways_to("prompt.j2", here):
            assert "may not read" in await refused(at, at.chat(path))
        for path in ("secret/labels.txt", "in/up/secret/labels.txt"):
            for look in (at.runner.estimate, at.runner.preview, at.runner.submit):
                with pytest.raises(NotAllowed, match="may not read"):
                    await look(at.classify(path))


async def test_a_file_that_is_there_is_refused_as_one_that_is_not(here: Path) -> None:
    """Nobody learns by the answer which files there are."""
    async with service(here) as at:
        there = await refused(at, at.classify("secret/labels.txt"))
        absent = await refused(at, at.classify("secret/nothing.txt"))
    assert there == absent.replace("nothing.txt", "labels.txt")


async def test_a_text_that_would_name_a_file_elsewhere_is_a_text(here: Path) -> None:
    (here / "secret_prompt").write_text(SECRET)
    async with service(here) as at:
        with pytest.raises(BatcherError) as error:  # the same for every row
            await at.runner.run(at.chat("secret_prompt"))
        assert not isinstance(error.value, NotAllowed)
        options = {"prompt": "secret_prompt", "constant_prompt": True}
        preview = await at.runner.preview(at.spec("chat", options=options))
    told = str([request.body for request in preview.requests])
    assert "secret_prompt" in told
    assert SECRET not in told


async def test_no_input_is_read_from_elsewhere(here: Path) -> None:
    async with service(here) as at:
        for path in [*ways_to("in.csv", here), "-", "file:///etc/passwd", "http://127.0.0.1/x.csv"]:
            spec = at.chat("{{ text }}", input=path)
            assert "may not read" in await refused(at, spec)


async def test_no_output_is_written_elsewhere_and_nothing_there_is_looked_at(here: Path) -> None:
    async with service(here) as at:
        spec = at.chat("{{ text }}")
        for path in ("elsewhere.jsonl", "out/../elsewhere.jsonl", "in/up/elsewhere.jsonl", "-"):
            assert "may not write" in await refused(at, spec, path)
        (here / "out/out.jsonl").write_text("something that stands here")
        (here / "out/out.jsonl.manifest.json").symlink_to(
            here / "secret" / "out.jsonl.manifest.json"
        )
        assert "may not write" in await refused(at, spec, "out/out.jsonl")
        report = await at.runner.run(spec)
        for path in ("elsewhere.jsonl", "out/out.jsonl"):
            with pytest.raises(NotAllowed, match="may not write"):
                await at.runner.export(report.job, output=path)
    assert not (here / "elsewhere.jsonl").exists()
    assert (here / "out/out.jsonl").read_text() == "something that stands here"


async def test_no_credential_goes_anywhere_else(here: Path) -> None:
    async with service(here) as at:
        for changes in (
            {"api_key_env": "OTHER_KEY"},
            {"headers": {"X": "$OTHER_KEY"}},
            {"base_url": "http://127.0.0.1:9/v1"},
            {"provider": "other"},
            {"via": "replay"},
        ):
            with pytest.raises(BatcherError):
                await at.runner.run(at.chat("{{ text }}", **changes))
        assert at.simulator.stats.requests == 0
        assert await at.runner.jobs() == [], "none is left that could not begin"


async def test_reports_reach_no_further_than_their_runner(here: Path) -> None:
    """What a report reads by itself is opened as its runner was."""
    async with service(here) as at:
        await at.runner.run(at.chat("{{ text }}"))
        access = at.runner._services.access
        assert access is not None
        await at.runner.jobs()  # a report is of a job, and so of a database that is there
        async with access.open_runner() as again:  # type: ignore[attr-defined]
            with pytest.raises(NotAllowed):
                again._services.files.check_place(wanted("elsewhere.jsonl"))


def wanted(path: str) -> SinkRequest:
    schema = OutputSchema(columns=(), fields=(), chunked=False, dimension=None)
    return SinkRequest(address=path, schema=schema)


# --- what workers are asked to do -------------------------------------------------------------


def asked_for_more(at: Service) -> list[tuple[JobSpec, str | None]]:
    """Jobs that somebody who may do less than the workers would have them do, and their outputs."""
    allowed = at.classify("in/labels.txt")
    return [
        (replace(allowed, base_url="https://elsewhere.example/v1"), None),
        (replace(allowed, api_key_env="OTHER_KEY"), None),
        (replace(allowed, headers={"X-More": "$OTHER_KEY"}), None),
        (replace(allowed, provider="another"), None),
        (allowed, "secret/out.jsonl"),
        (allowed, "out/../secret/{date}.jsonl"),
        (allowed, "in/up/secret/out.jsonl"),
        (allowed, "sqlite://secret/out.db?table=t"),
    ]


async def have_done(runner: Runner, way: str, spec: JobSpec, delivery: DeliverySpec | None) -> None:
    """Leave a job to workers, in one of the ways."""
    if way == "submit":
        await runner.submit(spec, delivery=delivery)
    elif way == "ask":
        async with asyncio.timeout(20):
            await runner.ask(spec, delivery=delivery)
    else:
        await runner.schedules.add("nightly", "0 3 * * *", spec, delivery=delivery)


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("way", ["submit", "ask", "schedule"])
async def test_workers_are_not_asked_for_more_than_who_asks_may_do(
    here: Path, way: str, number: int
) -> None:
    async with service(here) as at:
        spec, output = asked_for_more(at)[number]
        delivery = None if output is None else DeliverySpec(output=output)
        with pytest.raises((NotAllowed, UsageError)):
            await have_done(at.runner, way, spec, delivery)
        assert await at.runner.jobs() == []


@pytest.mark.parametrize("name", ["secret/in.csv", "in/link-in.csv", "in/../secret/in.csv"])
async def test_workers_are_not_asked_to_read_what_who_asks_may_not(here: Path, name: str) -> None:
    async with service(here) as at:
        spec = replace(at.classify("in/labels.txt"), input=name)
        with pytest.raises(NotAllowed):
            await have_done(at.runner, "ask", spec, None)


async def test_who_may_do_it_may_have_it_done(here: Path) -> None:
    async with service(here) as at:
        spec = at.classify("in/labels.txt")
        report = await at.runner.submit(spec, delivery=DeliverySpec(output="out/a.jsonl"))
        assert report.rows == 2
