"""Azure's dialect on Azure's paths: the deployment in the URL, its errors, its waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from batcher.core.job.spec import JobSpec
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import GOOD, Work, audit, nothing_written, open_work, words


def on_azure(work: Work, kind: str, texts: list[str], **settings: Any) -> JobSpec:
    """A job whose requests go to a deployment."""
    given = {
        "base_url": work.simulator.url,
        "api_version": "2024-10-21",
        "model": "my-deployment",
        "price": "1,1",
        **settings,
    }
    return work.embed(texts, **given) if kind == "embed" else work.chat(texts, **given)


@pytest.mark.parametrize("kind", ["embed", "chat"])
@pytest.mark.parametrize("fault", ["azure_429", "azure_429_status", "azure_429_no_code"])
@in_virtual_time
async def test_its_429_takes_no_attempt_and_is_waited_for(
    here: Path, kind: str, fault: str
) -> None:
    async with open_work(here) as work:
        started = work.now()
        texts = [*GOOD, f"[[fault={fault}*8]] a"]
        ran = await work.run(on_azure(work, kind, texts, concurrency=1))

        assert ran.done == list(range(8))
        assert work.stats.by_status[429] == 8
        assert 16 <= work.now() - started < 24
        audit(work, ran.report)


@pytest.mark.parametrize("headers", [True, False])
@in_virtual_time
async def test_its_limit_is_kept(here: Path, headers: bool) -> None:
    """Learned from its headers, or from its 429s alone."""
    async with open_work(here, rpm=60, bucket_seconds=6, rate_limit_headers=headers) as work:
        started = work.now()
        ran = await work.run(on_azure(work, "chat", list(words(100))))

        assert ran.done == list(range(100))
        assert 90 <= work.now() - started < 150
        assert work.stats.rate_limited <= (0 if headers else 20)


@in_virtual_time
async def test_its_content_filter_is_a_dead_letter(here: Path) -> None:
    async with open_work(here) as work:
        texts = [*words(9), "[[fault=azure_content_filter]] a"]
        for kind in ("embed", "chat"):
            ran = await work.run(on_azure(work, kind, texts), output=f"{kind}.jsonl")
            assert ran.failed == {9: ("content_filter", 1)}
            assert ran.done == list(range(9))


@pytest.mark.parametrize(
    ("model", "fault", "reason"),
    [
        ("unknown-deployment", "", "API deployment for this resource does not exist"),
        ("my-deployment", "[[fault=404]]", "API deployment for this resource does not exist"),
        ("my-deployment", "[[fault=401]]", "Access denied due to invalid subscription key"),
        ("my-deployment", "[[fault=azure_401_token]]", "Access token is missing"),
    ],
)
@in_virtual_time
async def test_what_is_wrong_with_every_request_stops_the_job(
    here: Path, model: str, fault: str, reason: str
) -> None:
    async with open_work(here) as work:
        texts = list(words(9, marker=fault))
        ran = await work.run(on_azure(work, "chat", texts, model=model))

        assert (ran.report.exit_code, ran.report.status) == (2, "stopped")
        assert reason in (ran.report.reason or "")
        assert ran.report.rows_failed == 0
        assert work.stats.requests == 4
        assert nothing_written(work)


@in_virtual_time
async def test_a_wrong_key_stops_the_job_until_it_is_put_right(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_work(here, api_key="the-right-one") as work:
        spec = on_azure(work, "embed", list(GOOD))
        ran = await work.run(spec)

        assert ran.report.exit_code == 2
        assert "wrong API endpoint" in (ran.report.reason or "")
        monkeypatch.setenv("OPENAI_API_KEY", "the-right-one")
        assert (await work.run(spec)).done == list(range(7))


@in_virtual_time
async def test_its_408_is_backed_off(here: Path) -> None:
    async with open_work(here) as work:
        ran = await work.run(on_azure(work, "chat", [*GOOD, "[[fault=azure_408*3]] a"]))

        assert ran.done == list(range(8))
        assert work.stats.by_status[408] == 3
