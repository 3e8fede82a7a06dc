"""The same command, night after night, over a file that changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.core.job.spec import JobSpec
from tests.engine.workbench import Ran, Work, words

FIRST = {f"r{number}": text for number, text in enumerate(words(40))}


def write(work: Work, rows: Mapping[str, str], name: str = "in.jsonl") -> str:
    lines = (json.dumps({"id": id_, "text": text}) + "\n" for id_, text in rows.items())
    work.path(name).write_text("".join(lines), encoding="utf-8")
    return str(work.path(name))


def job_of(work: Work, kind: str, source: str, **settings: Any) -> JobSpec:
    given = {"name": "nightly", "since_last": True, "max_inputs": 3, "concurrency": 4, **settings}
    if kind != "embed":
        del given["max_inputs"]
    made: JobSpec = getattr(work, kind)(source, **given)
    return made


class Nights:
    """The same command, night after night, over a file that changes."""

    def __init__(self, work: Work, kind: str = "embed", **settings: Any) -> None:
        self.work = work
        self.kind = kind
        self.settings = settings
        self.told: list[str] = []

    async def run(self, rows: Mapping[str, str], **settings: Any) -> Ran:
        await asyncio.sleep(86_400)
        source = write(self.work, rows)
        spec = job_of(self.work, self.kind, source, **{**self.settings, **settings})
        self.told.clear()
        report = await self.work.runner.run(
            spec, output=str(self.work.path("out.jsonl")), on_told=self.told.append
        )
        return self.work.read(report)

    async def in_full(self, rows: Mapping[str, str], **settings: Any) -> Ran:
        """A run of the same rows that carries nothing over."""
        source = write(self.work, rows, "full.jsonl")
        spec = job_of(self.work, self.kind, source, **{**self.settings, **settings})
        spec = replace(spec, name=None, since_last=False)
        return await self.work.run(spec, output="full.out.jsonl", fresh=True)

    def same_bytes(self) -> bool:
        full = self.work.path("full.out.jsonl")
        out = self.work.path("out.jsonl")
        errors = [Path(f"{path}.errors.jsonl") for path in (full, out)]
        left, right = (path.read_bytes() if path.exists() else b"" for path in errors)
        return full.read_bytes() == out.read_bytes() and left == right


def compared(ran: Ran) -> tuple[int, int, int, int, int | None]:
    """New, changed, failed before, carried over, removed."""
    found = ran.report.incremental
    assert found is not None
    assert ran.manifest is not None
    assert ran.manifest["incremental"] == found.to_json()
    return found.new, found.changed, found.failed_before, found.carried_over, found.removed


def edited(rows: Mapping[str, str]) -> dict[str, str]:
    """The rows turned round, one of them gone, two changed, two new."""
    turned = dict(reversed(list(rows.items())))
    del turned["r5"]
    turned |= {"r0": "another text", "r17": "a third one"}
    return {"n1": "a new text", **turned, "n2": "and one more"}
