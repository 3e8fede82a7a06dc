"""What a job would take: planned in full, and nothing sent or kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from batcher.core.job.since import Incremental
from batcher.core.model import Job, Learned, Tally
from batcher.core.money.prices import dollars
from batcher.core.progress import ShardEvent
from batcher.engine.job.report import rows_total
from batcher.engine.opening.binding import Bound
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import InputSource, Lease, NewShard, ReuseLookup, ReuseStrategy, RowGuard


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Rows, requests, tokens, dollars and time of a job that was not sent.

    ``completion_tokens_at_most`` is None where nothing bounds an answer, and ``unbounded_by`` says
    what of its form does not; ``cost_usd`` is of the prompts alone then. Where
    ``thinking_unbounded``, what the model thinks before it answers comes on top. ``seconds`` is the
    least at the limits given, None without any. Rows that would be carried over count among
    ``rows`` alone, and ``incremental`` says how many they are.
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
    incremental: Incremental | None = None
    unbounded_by: str = ""
    thinking_unbounded: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        plain: dict[str, Any] = {
            "kind": self.kind,
            "model": self.model,
            "rows": self.rows,
            "rows_unusable": self.rows_unusable,
            "requests": self.requests,
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion_at_most": self.completion_tokens_at_most,
                "thinking_unbounded": self.thinking_unbounded,
            },
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "cost_usd_at_most": (
                None if self.cost_usd_at_most is None else float(self.cost_usd_at_most)
            ),
            "seconds": None if self.seconds is None else round(self.seconds, 1),
        }
        if self.incremental is not None:
            plain["incremental"] = self.incremental.to_json()
        return plain


async def estimated(
    bound: Bound, source: InputSource, job: Job, guard: RowGuard, reuse: ReuseStrategy | None
) -> Estimate:
    """The estimate of a job, made in a thread that ends with whoever waits for it."""
    try:
        if reuse is None:
            return await asyncio.to_thread(estimate, bound, source, job, guard)
        async with reuse.opened() as opened:
            return await asyncio.to_thread(estimate, bound, source, job, guard, opened)
    finally:
        guard.stop()


def estimate(
    bound: Bound, source: InputSource, job: Job, guard: RowGuard, reuse: ReuseLookup | None = None
) -> Estimate:
    """Plan all rows and add up what would be sent; ``reuse`` says which rows would not be."""
    requests = bound.requests(
        Learned(), charges_prompt_too=False, capped=bound.spec.max_cost is not None
    )
    rows = rows_total(job, bound.description)
    planner = bound.planner(source, rows, job, reuse, guard)
    count = unusable = prompt = charged = least = most = 0
    price = None if bound.price is None else bound.price.at(bound.spec.service_tier or "")
    ceiling = None if price is None else price.ceiling()
    compared = Tally(rows_planned=rows)
    limits = requests.output_limits
    formal, by = bound.answer_bound if limits.usual is None else (None, "")
    completion = 0
    unbounded = limits.usual is None and formal is None and not limits.vary
    while (shard := planner.next_shard()) is not None:
        count += shard.requests
        unusable += len(shard.dead)
        compared = _with(compared, shard)
        done = () if shard.carried is None else shard.carried.pieces
        lease = Lease(
            shard_id=0, ordinal=0, fence=1, expires_at=0.0, outline=shard.plan.outline,
            prompts=shard.plan.prompts, events=(ShardEvent(fence=0, done=done),),
            sent_fence=0, sent_through=0,
        )  # fmt: skip
        leased = LeasedShard(lease, bound.shape, fixed_tokens=bound.limits.fixed_tokens)
        for call in leased.calls:
            prompt += call.tokens
            charged += requests.demand.of(call).tokens
            limit = limits.of(call.parameters, len(call.pieces))
            limit = formal if limit is None else limit
            unbounded = unbounded or limit is None
            completion += limit or 0
            if price is not None and ceiling is not None:
                least += price.cost(call.tokens, 0)
                most += ceiling.cost(call.tokens, limit or 0)
    since = job.description.since
    return Estimate(
        kind=bound.spec.kind,
        model=bound.spec.model,
        rows=rows,
        rows_unusable=unusable,
        requests=count,
        prompt_tokens=prompt,
        completion_tokens_at_most=None if unbounded else completion,
        cost_usd=None if price is None else dollars(least),
        cost_usd_at_most=None if price is None or unbounded else dollars(most),
        seconds=_least_seconds(bound, count, charged),
        unbounded_by=by if unbounded else "",
        thinking_unbounded=formal is not None and bound.thinks,
        incremental=None if since is None else Incremental.of(since, compared, planned=True),
    )


def _with(tally: Tally, shard: NewShard) -> Tally:
    """The tally with what one more shard says of its rows and those of the former job."""
    return replace(
        tally,
        rows_carried=tally.rows_carried + (shard.carried.rows if shard.carried else 0),
        rows_changed=tally.rows_changed + shard.rows_changed,
        rows_failed_before=tally.rows_failed_before + shard.rows_failed_before,
    )


def _least_seconds(bound: Bound, requests: int, tokens: int) -> float | None:
    """The time that the stated limits take; None where there are none."""
    times = [
        60.0 * amount / limit
        for amount, limit in ((requests, bound.spec.rpm), (tokens, bound.spec.tpm))
        if limit is not None
    ]
    return max(times, default=None)
