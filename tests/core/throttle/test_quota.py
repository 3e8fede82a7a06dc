"""Whatever happens to a quota, its state stays sane."""

from __future__ import annotations

import math
from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import HORIZON_SECONDS, Flow
from tests.core.throttle.quota_steps import START, quota

FLOWS = [Flow("a"), Flow("b", 4.0), Flow("b", 4.0, "another worker")]


def numbers(state: QuotaState) -> list[float]:
    found: list[float] = []
    for record in (state.requests, state.tokens, state.refusals, state.sharing, state):
        for field in fields(record):
            value = getattr(record, field.name)
            if isinstance(value, int | float):
                found.append(float(value))
    return found


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserve", "settle", "refuse", "pause", "give_back", "configure"]),
            st.floats(0, 20),
            st.integers(0, 10_000),
            st.one_of(st.none(), st.floats(0.1, 1e6)),
            st.one_of(st.none(), st.floats(0, 1e6)),
        ),
        max_size=60,
    )
)
def test_no_sequence_leads_to_nonsense(
    steps: list[tuple[str, float, int, float | None, float | None]],
) -> None:
    state, now, held = quota(600, 60_000), START, list[Ticket]()
    last = (0, -math.inf)
    for action, seconds, amount, limit, remaining in steps:
        now += seconds
        if action == "configure":
            state.configure(now, rpm=limit, tpm=(remaining or 0) + 1 if limit else None)
        elif action == "reserve":
            tickets, later = state.reserve(now, [TokenDemand(amount)] * 5, FLOWS[amount % 3])
            alone = len(state.sharing.members) == 1
            for ticket in tickets:
                assert now <= ticket.send_at
                assert not alone or ticket.send_at <= now + HORIZON_SECONDS
                assert (ticket.epoch, ticket.send_at) >= last
                last = (ticket.epoch, ticket.send_at)
            assert later is None or later > now
            held += tickets
        elif held and action in ("settle", "refuse"):
            seen = Observation(
                sent_at=now,
                admitted=action == "settle",
                limit_requests=limit,
                limit_tokens=limit,
                remaining_requests=remaining,
                remaining_tokens=remaining,
                used_tokens=amount,
            )
            state.settle(now, held.pop(0), seen)
        elif held and action == "pause":
            state.pause(now, held.pop(0), now + seconds)
        elif held and action == "give_back":
            state.give_back(now, held)
            held = []
        assert not any(math.isnan(value) for value in numbers(state))
        limits = state.limits(now)
        assert 0 <= limits.requests_share <= 1
        assert 0 <= limits.tokens_share <= 1
