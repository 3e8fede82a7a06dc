"""A real worker process: its health over HTTP, its log, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from batcher.core.job.spec import JobSpec
from batcher.ports import Event
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.servers.ports import free_port
from tests.servers.valkey import ValkeyServer, valkey
from tests.waiting import PATIENCE_SECONDS, wait_until

__all__ = ["valkey"]
pytestmark = pytest.mark.process


class RunningWorker:
    """A worker, its log and its health port."""

    def __init__(self, directory: Path, redis_url: str, *more: str) -> None:
        self._log = directory / "log"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BATCHER_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "batcher", "worker", "--health-port", "0", *more],
                cwd=directory,
                env=environment | {"BATCHER_REDIS_URL": redis_url},
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        (opened,) = self.wait_for(Event.HEALTH_OPENED)
        assert opened["host"] == "127.0.0.1"
        self._url = f"http://127.0.0.1:{opened['port']}"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def wait_for(self, event: Event) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := [told for told in self.events() if told["event"] == event]):
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, f"no {event}"
            time.sleep(0.02)
        return found

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self._url + path, timeout=PATIENCE_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_until_ready(self, **facts: bool) -> None:
        """Until ``/ready`` says so; facts that are not named are true."""
        wanted = {"serving": True, "database": True, "redis": True, **facts}
        good = all(wanted.values())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            status, body = self.get("/ready")
            told = json.loads(body)
            assert (status == 200) == told.pop("ready")
            if told == wanted:
                assert status == (200 if good else 503)
                return
            assert time.monotonic() < deadline, told
            time.sleep(0.05)


@contextmanager
def worker(directory: Path, redis_url: str, *more: str) -> Iterator[RunningWorker]:
    running = RunningWorker(directory, redis_url, *more)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()


def test_it_says_how_it_is_and_ends_in_good_order(tmp_path: Path, valkey: ValkeyServer) -> None:
    with worker(tmp_path, valkey.url) as running:
        running.wait_until_ready()
        assert running.get("/live") == (200, '{"live": true}')
        valkey.kill()
        try:
            running.wait_until_ready(redis=False)
            assert running.get("/live")[0] == 200
            assert running.wait_for(Event.QUEUE_LOST)[0]["attempt"] == 1
        finally:
            valkey.start()
        running.wait_until_ready()
        running.wait_for(Event.QUEUE_FOUND)
        status, text = running.get("/metrics")
        names = {family.name for family in text_string_to_metric_families(text)}
        assert status == 200
        assert {"batcher_queue_age_seconds", "batcher_store_errors"} <= names
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE_SECONDS) == 0
        assert running.events()[-1]["event"] == Event.WORKER_STOPPED


def test_a_taken_port_is_a_clear_error(tmp_path: Path, valkey: ValkeyServer) -> None:
    with worker(tmp_path, valkey.url) as running:
        taken = running._url.rpartition(":")[2]
        ran = subprocess.run(
            [sys.executable, "-m", "batcher", "worker", "--health-port", taken],
            cwd=tmp_path,
            env=os.environ | {"BATCHER_REDIS_URL": valkey.url},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    assert ran.returncode == 2
    assert f"error: --health-port {taken} on 127.0.0.1 cannot be listened on" in ran.stderr


def test_the_log_says_no_more_than_it_is_asked_for(tmp_path: Path, valkey: ValkeyServer) -> None:
    port = str(free_port())
    command = [sys.executable, "-m", "batcher", "worker", "--log-level", "warning"]
    with subprocess.Popen(
        [*command, "--redis", valkey.url, "--health-port", port],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    ) as quiet:
        wait_until(lambda: is_live(port), "a worker that lives")
        quiet.send_signal(signal.SIGTERM)
        _, stderr = quiet.communicate(timeout=PATIENCE_SECONDS)
    assert (quiet.returncode, stderr) == (0, b"")


def is_live(port: str) -> bool:
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{port}/live", timeout=PATIENCE_SECONDS
        ) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


SPINNING = """
import pathlib
from batcher.adapters.system import row_guard as rowguard
from batcher.engine.planning import rendering
from batcher.kinds import metering

metering.MOST_BYTES = 1 << 60
rowguard.ThreadGuard.__init__.__kwdefaults__.update(most_seconds=9e9, longest_seconds=9e9)
render = rendering.Rendering.render

def rendering_now(self, record):
    pathlib.Path("rendering").touch()
    return render(self, record)

rendering.Rendering.render = rendering_now
"""
"""Lets a row take as long as it likes, and tells when one is begun."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order_while_a_template_spins(
    tmp_path: Path,
    valkey: ValkeyServer,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
) -> None:
    """The row goes to whoever plans on; here that is another worker, which cannot end it either."""
    (tmp_path / "sitecustomize.py").write_text(SPINNING, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    prompt = tmp_path / "spin.j2"
    loops = "{% for a in range(n) %}{% for b in range(n) %}{% endfor %}{% endfor %}"
    prompt.write_text(loops + "{{ text }}", encoding="utf-8")
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "one", "n": 99999}\n' * 3, encoding="utf-8")
    spec = JobSpec(
        kind="chat", input=str(source), model="gpt-4o-mini", options={"prompt": str(prompt)}
    )

    async def ask() -> str:
        database = str(tmp_path / ".batcher" / "batcher.db")
        async with open_runner(Settings(database_url=database)) as runner:
            return (await runner.ask(spec)).job

    job = ""
    for _ in range(2):
        (tmp_path / "rendering").unlink(missing_ok=True)
        with worker(tmp_path, valkey.url) as running:
            job = job or asyncio.run(ask())
            wait_until((tmp_path / "rendering").exists, "a row that is rendered")
            running.process.send_signal(number)
            assert running.process.wait(PATIENCE_SECONDS) == 0
            assert running.events()[-1]["event"] == Event.WORKER_STOPPED
