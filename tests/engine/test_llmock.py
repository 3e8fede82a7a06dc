"""A provider that nobody here wrote (llmock), in a process of its own: its own verdict on us."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from batcher.core.job.spec import JobSpec
from batcher.engine.job.report import Report
from batcher.engine.telemetry.run_stats import RunStats
from batcher.settings import Settings
from batcher.wiring import open_runner
from tests.engine.workbench import CHATTER, EMBEDDER, LABELS, read_lines
from tests.servers.ports import free_port
from tests.waiting import PATIENCE_SECONDS, wait_until

pytestmark = pytest.mark.process


class Llmock:
    """A running server."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_SECONDS) as answer:
            return json.load(answer)

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            self.get("/health")
        except OSError:
            return False
        return True

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it was asked so far, and how it answered."""
        answer = self.get("/_llmock/requests")
        records: list[dict[str, Any]] = answer if isinstance(answer, list) else answer["requests"]
        return records

    @property
    def statuses(self) -> Counter[int]:
        """How it answered so far."""
        return Counter(record["status"] for record in self.records)

    @property
    def served(self) -> Counter[str]:
        """The texts that it gave results for."""
        bodies = [record["body"] for record in self.records if record["status"] == 200]
        return Counter(text for body in bodies for text in _texts(body))


def _texts(body: dict[str, Any]) -> list[str]:
    if "input" in body:
        texts: list[str] = body["input"]
        return texts
    return [body["messages"][-1]["content"]]


@contextmanager
def llmock(log: Path, *options: str) -> Iterator[Llmock]:
    """The server on a free port of loopback, until the context ends."""
    port = free_port()
    program = Path(sys.executable).with_name("llmock")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", "--port", str(port), "--log-level", "warning", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Llmock(f"http://127.0.0.1:{port}")
        wait_until(server.is_there, "llmock")
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


async def run(
    here: Path,
    server: Llmock,
    kind: str,
    rows: int,
    *,
    on_live: Callable[[RunStats], None] | None = None,
    **settings: Any,
) -> Report:
    """Run a job of so many rows against the server; every one of them must be done."""
    source = here / "in.jsonl"
    source.write_text("".join(json.dumps({"text": f"row {n} of it"}) + "\n" for n in range(rows)))
    options: dict[str, Any] = {"text": "text"}
    if kind == "classify":
        options["labels"] = LABELS
    if kind == "chat":
        (here / "prompt.txt").write_text("{{ text }}")
        options = {"prompt": str(here / "prompt.txt"), "max_tokens": 40}
    model = EMBEDDER if kind == "embed" else CHATTER
    spec = JobSpec(
        kind=kind,
        input=str(source),
        options=options,
        **{"model": model, "base_url": f"{server.url}/v1", **settings},
    )
    async with open_runner(Settings(database_url="memory://")) as runner:
        report = await runner.run(spec, output=str(here / "out.jsonl"), on_live=on_live)
    assert report.exit_code == 0
    assert [record["row"] for record in read_lines(here / "out.jsonl")] == list(range(rows))
    verdict = server.get("/_llmock/verdict")
    assert verdict["passed"], [finding["title"] for finding in verdict["findings"]]
    return report


async def test_requests_a_minute_are_kept(here: Path) -> None:
    """And made use of: nothing lowers what the server states."""
    lives: list[RunStats] = []
    with llmock(here / "log", "--rpm", "180") as server:
        await run(here, server, "chat", 192, on_live=lives.append)

        assert server.statuses[200] == 192
        assert server.statuses[429] <= 2
        (live,) = lives
        assert live.limits.requests_per_minute == 180


@pytest.mark.parametrize("kind", ["embed", "chat"])
async def test_tokens_a_minute_are_kept(here: Path, kind: str) -> None:
    """It counts tokens by the size of the body, otherwise than we do."""
    rows = 500 if kind == "embed" else 150
    tpm = 5_000 if kind == "embed" else 10_000
    with llmock(here / "log", "--tpm", str(tpm)) as server:
        report = await run(here, server, kind, rows, max_inputs=5)

        assert report.rows_done == rows
        assert server.statuses[429] <= max(3, server.statuses[200] // 20)


@pytest.mark.parametrize("kind", ["embed", "classify"])
async def test_chaos_loses_no_row(here: Path, kind: str) -> None:
    chaos = ("500=0.05", "503=0.05", "502=0.05")
    options = [word for rate in chaos for word in ("--error-rate", rate)]
    with llmock(here / "log", *options) as server:
        await run(here, server, kind, 150, max_inputs=2, concurrency=10)

        statuses = server.statuses
        assert sum(statuses[status] for status in (500, 502, 503)) > 0
        assert set(server.served.values()) == {1}
        assert len(server.served) == 150
        # The last requests of all may fail three times, and then go in halves.
        assert statuses[200] in (range(75, 79) if kind == "embed" else (150,))
