"""A worker reads for a job what its operator lets it, and nothing else; no row dies of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from batcher.ports import Event
from tests.engine.answering import answering
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.kinds.installing import install_kind
from tests.engine.kinds.test_attachments import contents, echo, job
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import open_work

WAIT_SECONDS = 150.0


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    install_kind(monkeypatch, "filing", "tests.engine.kinds.filing_kind")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")


def places(here: Path) -> tuple[Path, Path]:
    """A folder that a worker may read, and one that it may not."""
    mine, others = here / "mine", here / "others"
    for folder in (mine, others):
        folder.mkdir()
    (others / "secret.txt").write_bytes(b"secret")
    (mine / "fine.txt").write_bytes(b"fine")
    (mine / ".hidden.txt").write_bytes(b"hidden")
    (mine / "link.txt").symlink_to(others / "secret.txt")
    return mine, others


def configure(here: Path, base_url: str) -> None:
    (here / "batcher.toml").write_text(
        f'[providers.mine]\nbase_url = "{base_url}"\napi_key_env = "OPENAI_API_KEY"\n'
    )


@pytest.mark.parametrize(
    "wanted",
    ["others/secret.txt", "mine/link.txt", "mine/../others/secret.txt", "mine/.hidden.txt"],
)
@in_virtual_time
async def test_a_worker_reads_no_file_that_it_may_not_for_a_plan_of_somebody_else(
    here: Path, wanted: str
) -> None:
    """It is left to a worker that may, with all of its rows."""
    mine, _ = places(here)
    database = f"sqlite:///{here}/batcher.db"
    events = Events()
    async with answering(echo) as asked, open_work(here, database=database) as work:
        rows = {"fine": ["mine/fine.txt"], "wanted": [wanted]}
        spec = job(work, asked.base_url, rows, concurrency=1)
        submitted = await work.runner.submit(spec)
        configure(here, asked.base_url)
        async with worker(database, events, providers=("mine",), allow_source=(str(mine),)):
            await asyncio.sleep(WAIT_SECONDS)
        sent = [one for body in asked.bodies for files in contents(body) for one in files]
        assert sent == [b"fine"]
        assert (await work.runner.status(submitted.job)).status == "open"
        told = [str(facts["reason"]) for facts in events.of(Event.JOB_REFUSED)]
        assert told
        assert all("--allow-source would allow it" in reason for reason in told)
        assert not any(wanted.rpartition("/")[2] in reason for reason in told)
        async with worker(database):
            ran = await completed(work, submitted.job)
        assert (ran.done, ran.failed) == ([0, 1], {})


@in_virtual_time
async def test_a_worker_measures_no_file_that_it_may_not_for_an_order(here: Path) -> None:
    mine, _ = places(here)
    database = f"sqlite:///{here}/batcher.db"
    events = Events()
    async with answering(echo) as asked, open_work(here, database=database) as work:
        spec = job(work, asked.base_url, {"wanted": ["../others/secret.txt"]})
        (mine / "filing.jsonl").write_bytes((here / "filing.jsonl").read_bytes())
        order = replace(spec, input=str(mine / "filing.jsonl"))
        placing = asyncio.create_task(work.runner.ask(order))
        configure(here, asked.base_url)
        async with worker(database, events, providers=("mine",), allow_source=(str(mine),)):
            await asyncio.sleep(WAIT_SECONDS)
        placing.cancel()
        await asyncio.gather(placing, return_exceptions=True)
        assert not asked.bodies
        told = [*events.of(Event.ORDER_REFUSED), *events.of(Event.JOB_REFUSED)]
        assert told
        assert not any("secret" in str(facts) for facts in told)
