"""What a job would take: planned in full, and nothing sent or kept."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from batcher.core.cost import dollars
from batcher.core.model import Job, Learned
from batcher.engine.payload import decode_plan
from batcher.engine.preparing import Bound
from batcher.engine.report import rows_total
from batcher.engine.shard import LeasedShard
from batcher.ports import InputSource, Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows, requests, tokens, dollars and time of a job that was not sent.

    ``completion_tokens_at_most`` is None where nothing bounds an answer; ``cost_usd`` is of the
    prompts alone then. ``seconds`` is the least at the limits given, None without any.
    """

    kind: str
    model: str
    rows: int
    rows_unusable: int
    requests: int
    prompt_tokens: int
    completion_tokens_at_most: int | None
    cost_usd: Decimal | None
    cost_usd_at_most: Decimal | None
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "kind": self.kind,
            "model": self.model,
            "rows": self.rows,
            "rows_unusable": self.rows_unusable,
            "requests": self.requests,
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion_at_most": self.completion_tokens_at_most,
            },
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "cost_usd_at_most": (
                None if self.cost_usd_at_most is None else float(self.cost_usd_at_most)
            ),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }


def estimate(bound: Bound, source: InputSource, job: Job) -> Estimate:
    """Plan all rows and add them up."""
    requests = bound.requests(Learned(), model_in_body=True, azure=False)
    rows = rows_total(job, bound.description)
    planner = bound.planner(source, rows, job)
    count = unusable = prompt = charged = 0
    limit = requests.output_limit
    while (shard := planner.next_shard()) is not None:
        plan = decode_plan(shard.payload)
        count += shard.requests
        unusable += len(shard.dead)
        prompt += sum(plan.tokens)
        lease = Lease(
            shard_id=0, ordinal=0, fence=1, expires_at=0.0, payload=shard.payload,
            events=(), sent_fence=0, sent_through=0,
        )  # fmt: skip
        for call in LeasedShard(lease, bound.kind.shape).calls:
            charged += requests.charge(call).tokens
    completion = None if limit is None else limit * count
    price = bound.price
    at_most = None
    if price is not None and completion is not None:
        at_most = dollars(price.cost(prompt, 0) + price.cost(0, completion))
    return Estimate(
        kind=bound.spec.kind,
        model=bound.spec.model,
        rows=rows,
        rows_unusable=unusable,
        requests=count,
        prompt_tokens=prompt,
        completion_tokens_at_most=completion,
        cost_usd=None if price is None else dollars(price.cost(prompt, 0)),
        cost_usd_at_most=at_most,
        seconds=_least_seconds(bound, count, charged),
    )


def _least_seconds(bound: Bound, requests: int, tokens: int) -> float | None:
    """The time that the stated limits take; None where there are none."""
    times = [
        60.0 * amount / limit
        for amount, limit in ((requests, bound.spec.rpm), (tokens, bound.spec.tpm))
        if limit is not None
    ]
    return max(times, default=None)
