"""What is shown before a run is what a run sends, to the byte, and nothing is left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from batcher.adapters.providers.http import HttpProvider
from batcher.core.errors import InputError
from batcher.core.job.spec import JobSpec
from batcher.engine.opening.preview import ROWS
from tests.engine.virtual_time import in_virtual_time
from tests.engine.workbench import CHATTER, EMBEDDER, LABELS, MIXED, Work, open_work, words


@contextmanager
def recorded() -> Iterator[list[tuple[str, bytes]]]:
    """What is posted, path and body."""
    sent: list[tuple[str, bytes]] = []
    post = HttpProvider.post

    async def recording(
        self: HttpProvider, path: str, body: bytes, request_id: str, **more: Any
    ) -> Any:
        sent.append((path, body))
        return await post(self, path, body, request_id, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HttpProvider, "post", recording)
        yield sent


KINDS: dict[str, dict[str, Any]] = {
    "embed": {"options": {"text": "text"}, "model": EMBEDDER},
    "embed-alone": {"options": {"text": "text"}, "model": EMBEDDER, "max_inputs": 1},
    "embed-split": {
        "options": {"text": "text", "overlong": "split"}, "model": EMBEDDER, "max_input_tokens": 3,
    },
    "classify": {
        "options": {"text": "text", "labels": LABELS, "instructions": "Of {{ id }}"},
        "model": CHATTER, "service_tier": "flex",
    },
    "classify-capped": {
        "options": {"text": "text", "labels": LABELS}, "model": CHATTER, "max_cost": Decimal(1),
    },
    "chat": {
        "options": {"prompt": "{{ text }}", "system": "Be terse", "max_tokens": 5},
        "model": CHATTER, "params": {"seed": 2**70},
    },
}  # fmt: skip


def spec_of(work: Work, name: str, source: str, **more: Any) -> JobSpec:
    settings = dict(KINDS[name])
    options = settings.pop("options")
    return work.kind(name.split("-")[0], source, options, **{**settings, **more})


@in_virtual_time
@pytest.mark.parametrize("name", KINDS)
async def test_the_bodies_are_those_that_a_run_of_these_rows_sends(here: Path, name: str) -> None:
    async with open_work(here) as work:
        spec = spec_of(work, name, work.write([*words(3), "", *words(2)]), limit=5)
        with recorded() as sent:
            preview = await work.runner.preview(spec)
            assert not sent
            assert await work.runner.jobs() == []
            assert [letter.code for letter in preview.unsendable] == ["empty_input"]
            await work.runner.run(spec)
            of_run = sorted(sent)
            sent.clear()
            answered = await work.runner.preview(spec, send=True)
        shown = sorted((request.path, request.body) for request in preview.requests)
        assert shown == of_run == sorted(sent)
        assert answered.requests == preview.requests
        rows = {row for request in preview.requests for row in request.rows}
        assert rows == {0, 1, 2, 4} == {result.row for result in answered.results}


@in_virtual_time
async def test_three_rows_are_shown_or_fewer_where_there_are_fewer(here: Path) -> None:
    async with open_work(here) as work:
        for rows in (1, 2, ROWS, 20):
            source = work.write(list(words(rows)))
            preview = await work.runner.preview(spec_of(work, "embed", source))
            assert preview.requests[0].rows == tuple(range(min(rows, ROWS)))
            assert preview.requests[0].ids == tuple(f"r{row}" for row in range(min(rows, ROWS)))


@in_virtual_time
async def test_answers_come_with_their_cost_and_nothing_is_kept(here: Path) -> None:
    async with open_work(here) as work:
        texts = ["a", "[[fault=400]] b", "c"]
        spec = replace(spec_of(work, "chat", work.write(texts)), name="nightly")
        preview = await work.runner.preview(spec, send=True)
        assert [result.row for result in preview.results] == [0, 2]
        assert [letter.row for letter in preview.failed] == [1]
        assert preview.cost_usd is not None
        costs = [result.cost_usd or 0 for result in preview.results]
        assert float(preview.cost_usd) == pytest.approx(sum(costs))
        plain = preview.to_json()
        assert plain["requests"][0]["body"]["seed"] == 2**70
        assert [error["code"] for error in plain["errors"]] == [preview.failed[0].code]
        assert await work.runner.jobs() == []
        assert sorted(path.name for path in here.iterdir()) == ["in.jsonl"]


@in_virtual_time
async def test_the_whole_input_is_checked(here: Path) -> None:
    async with open_work(here) as work:
        source = work.write(list(MIXED))
        with Path(source).open("a") as file:
            file.write("no JSON\n")
        with pytest.raises(InputError):
            await work.runner.preview(spec_of(work, "embed", source))
