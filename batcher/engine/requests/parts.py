"""What one job's requests are made with, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from batcher.core.job.spec import JobSpec
from batcher.core.kind import BoundKind, has_free_output, shape_of
from batcher.core.model import Learned
from batcher.core.money.expected_tokens import PromptAllowance
from batcher.core.money.prices import Price
from batcher.engine.requests.builder import AnswerSize, Learning, RequestBuilder
from batcher.engine.requests.demand import (
    PROMPT_MARGIN_TOKENS,
    Allowances,
    LimitDemand,
    TierPrices,
    WorstCase,
)
from batcher.engine.requests.output_limits import USERS_LIMITS, OutputLimits, output_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestParts:
    """One of each, for one job. ``output_limits`` are those of output tokens which bodies send."""

    output_limits: OutputLimits
    learning: Learning
    builder: RequestBuilder
    answer_size: AnswerSize
    allowances: Allowances
    prices: TierPrices
    demand: LimitDemand
    worst_case: WorstCase


def make_requests(
    bound: BoundKind,
    spec: JobSpec,
    learned: Learned,
    *,
    price: Price | None,
    charges_prompt_too: bool,
    cap: int | None,
    fixed_tokens: int,
) -> RequestParts:
    """The parts of a job's requests.

    Args:
        bound: the kind with its options.
        spec: what the user asked for.
        learned: what the provider taught before.
        price: of the standard tier, in picodollars a token; None where it is not known.
        charges_prompt_too: Azure's rule.
        cap: the limit in tokens of answers that nothing else limits, or None.
        fixed_tokens: those of a request besides its pieces.
    """
    limits = output_limits(bound, spec.params, cap)
    learning = Learning(learned, bound.optional_parameters)
    margin = 0 if has_free_output(bound.endpoint) else PROMPT_MARGIN_TOKENS
    allowances = Allowances(PromptAllowance(margin))
    prices = TierPrices(price, spec.service_tier, spec.params, any_step=bound.packs)
    builder = RequestBuilder(bound, spec.kind, _added(spec, cap), learning)
    return RequestParts(
        output_limits=limits,
        learning=learning,
        builder=builder,
        answer_size=AnswerSize(
            shape_of(bound.fields),
            learning,
            limits=limits,
            parameters=spec.params,
            most_bytes=spec.max_answer_bytes,
        ),
        allowances=allowances,
        prices=prices,
        demand=LimitDemand(
            limits,
            allowances,
            fixed_texts=bound.fixed_texts,
            charges_prompt_too=charges_prompt_too,
        ),
        worst_case=WorstCase(prices.ceiling, limits, allowances, fixed_tokens=fixed_tokens),
    )


def _added(spec: JobSpec, cap: int | None) -> Mapping[str, Any]:
    """What goes into each body besides what its kind says."""
    added: dict[str, Any] = {"model": spec.model, **spec.params}
    if spec.service_tier is not None:
        added["service_tier"] = spec.service_tier
    if cap is not None:
        added[USERS_LIMITS[0]] = cap
    return added
