"""The exact requests of a few rows, and their answers where they are wanted; nothing is kept.

They are planned, and made into bodies, by what a run plans and sends with. Where answers are
wanted, a run of these rows gets them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from batcher.core.job.spec import JobSpec
from batcher.core.model import DeadLetter, Job, Learned, RowId
from batcher.core.progress import ShardEvent
from batcher.core.text import exactjson
from batcher.engine.job.report import Report
from batcher.engine.job.results import Result, error_record
from batcher.engine.opening.binding import Bound
from batcher.engine.requests.parts import RequestParts
from batcher.engine.shards.call import Call
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import InputSource, Lease, NewShard, RowGuard

ROWS = 3
"""How many rows are shown unless somebody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedRequest:
    """One request as a run of these rows would send it.

    ``rows`` and ``ids`` say whose texts are in it, one for each piece; ``tokens`` are those of the
    prompt; ``completion_tokens_at_most`` is None where nothing bounds the answer.
    """

    rows: tuple[int, ...]
    ids: tuple[RowId | None, ...]
    tokens: int
    completion_tokens_at_most: int | None
    path: str
    body: bytes = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, with the body as the object that it is."""
        return {
            "rows": list(self.rows),
            "ids": list(self.ids),
            "tokens": {
                "prompt": self.tokens,
                "completion_at_most": self.completion_tokens_at_most,
            },
            "path": self.path,
            "body": exactjson.loads(self.body),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The requests of a few rows, and what came of them if they were sent.

    ``unsendable`` are rows that would not be sent, with the reason; ``failed`` those that were, and
    got no result. ``report`` is that of their run, None where nothing was sent.
    """

    kind: str
    model: str
    base_url: str
    requests: tuple[PreviewedRequest, ...]
    unsendable: tuple[DeadLetter, ...] = ()
    results: tuple[Result, ...] = ()
    failed: tuple[DeadLetter, ...] = ()
    report: Report | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """What sending cost; None where no price is known, or nothing was sent."""
        return None if self.report is None else self.report.cost_usd

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        plain: dict[str, Any] = {
            "kind": self.kind,
            "model": self.model,
            "base_url": self.base_url,
            "requests": [request.to_json() for request in self.requests],
            "unsendable": [error_record(letter) for letter in self.unsendable],
        }
        if self.report is not None:
            plain["results"] = [_result(result) for result in self.results]
            plain["errors"] = [error_record(letter) for letter in self.failed]
            plain["cost_usd"] = None if self.cost_usd is None else float(self.cost_usd)
            plain["status"] = str(self.report.status)
        return plain


def spec_of_preview(spec: JobSpec) -> JobSpec:
    """The same work for a few rows: as many as its limit says, which ``ROWS`` is otherwise."""
    return replace(
        spec, limit=spec.limit or ROWS, name=None, since_last=False, cost_columns=True,
        keep_input=False,
    )  # fmt: skip


async def previewed(bound: Bound, source: InputSource, job: Job, guard: RowGuard) -> Preview:
    """The requests, made in a thread that ends with whoever waits for it."""
    try:
        return await asyncio.to_thread(_preview, bound, source, job, guard)
    finally:
        guard.stop()


def with_answers(
    preview: Preview, report: Report, results: list[Result], letters: list[DeadLetter]
) -> Preview:
    """The preview with what became of its rows; ``letters`` are all that the run has."""
    never = {letter.row for letter in preview.unsendable}
    failed = tuple(letter for letter in letters if letter.row not in never)
    return replace(preview, report=report, results=tuple(results), failed=failed)


def _preview(bound: Bound, source: InputSource, job: Job, guard: RowGuard) -> Preview:
    spec = bound.spec
    rows = min(job.facts.rows, spec.limit or job.facts.rows)
    requests = bound.requests(
        Learned(),
        charges_prompt_too=spec.api_version is not None,
        capped=spec.max_cost is not None,
    )
    planner = bound.planner(source, rows, job, None, guard)
    made: list[PreviewedRequest] = []
    dead: list[DeadLetter] = []
    while (shard := planner.next_shard()) is not None:
        dead += shard.dead
        made += _requests_of(shard, bound, requests)
    return Preview(
        kind=spec.kind,
        model=spec.model,
        base_url=spec.answers_from,
        requests=tuple(made),
        unsendable=tuple(dead),
    )


def _requests_of(
    shard: NewShard, bound: Bound, requests: RequestParts
) -> Iterator[PreviewedRequest]:
    lease = Lease(
        shard_id=0, ordinal=0, fence=1, expires_at=0.0,
        outline=shard.plan.outline, prompts=shard.plan.prompts,
        events=(ShardEvent(fence=0),), sent_fence=0, sent_through=0,
    )  # fmt: skip
    leased = LeasedShard(lease, bound.shape, fixed_tokens=bound.limits.fixed_tokens)
    plan = leased.plan
    for call in leased.calls:
        rows = [plan.piece_rows[piece] for piece in call.pieces]
        limit = requests.output_limits.of(call.parameters, len(call.pieces))
        yield PreviewedRequest(
            rows=tuple(plan.first_row + row for row in rows),
            ids=tuple(plan.id_of(row) for row in rows),
            tokens=call.tokens,
            completion_tokens_at_most=bound.answer_bound[0] if limit is None else limit,
            path=requests.builder.path,
            body=_body(call, requests),
        )


def _body(call: Call, requests: RequestParts) -> bytes:
    """The body as it is sent; of a form what there is to see of it, as JSON."""
    attached = requests.builder.attached
    return requests.builder.body(call) if attached is None else attached.shown(call)


def _result(result: Result) -> dict[str, Any]:
    plain: dict[str, Any] = {"id": result.id, "row": result.row, **result.value}
    if result.vector is not None:
        plain["embedding"] = orjson.loads(
            orjson.dumps(result.vector, option=orjson.OPT_SERIALIZE_NUMPY)
        )
    plain["tokens"] = {"prompt": result.prompt_tokens, "completion": result.completion_tokens}
    plain["cost_usd"] = result.cost_usd
    plain["model"] = result.model
    return plain
