"""The script in Redis and the core are one arithmetic: the same calls, the same answers.

On a real server, which is handed the time: it is an argument of the script, empty where the
server's own clock counts. So both sides live at the same moments, and no test waits for any.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from random import Random
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.adapters.throttle import wire
from batcher.adapters.throttle.redis import read_script
from batcher.core.throttle.bucket import MINUTE, Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.quota import QuotaState
from batcher.core.throttle.sharing import ANYBODY, WEIGHTS, Flow
from batcher.core.throttle.snapshot import Shown, shown_rate
from tests.core.throttle.simulation.workloads import alike, mixed
from tests.servers.valkey import ValkeyServer
from tests.simulated.client import simulate
from tests.simulated.crowd import Crowd, Job
from tests.simulated.provider import ReferenceProvider, Request
from tests.simulated.windowed import WindowedProvider
from tests.throttle import kept

START = 1000.0
KEYS = itertools.count()
FLOWS = [
    ANYBODY,
    Flow("a", WEIGHTS["high"]),
    Flow("b", WEIGHTS["low"], "one"),
    Flow("b", WEIGHTS["low"], "other"),
]
Step = tuple[str, float, int, int]


class Twin(QuotaState):
    """A quota in the core that asks the script the same, and says so where it answers otherwise."""

    def __init__(self, client: redis.Redis, now: float = START) -> None:
        super().__init__()
        self.client = client
        self.key = f"quota:{next(KEYS)}"
        self.script = client.register_script(read_script())
        self.ceilings: tuple[float | None, float | None] = (None, None)
        self.epoch, self.taught = QuotaState.unknown(now).epoch, False
        self.script_does(now, wire.LOOK)

    def script_does(self, now: float, operation: wire.Operation, worker: str = "") -> bytes:
        """The script's answer; the figures with it are the core's, and all that it keeps."""
        arguments: list[str | bytes | int] = ["news", repr(now), 60_000, worker, *operation]
        first, answer = self.script(keys=[self.key], args=arguments)
        figures = wire.figures(first)
        assert (figures.now, figures.epoch) == (now, self.epoch)
        assert (figures.at, figures.paused_until) == (self.at, self.paused_until)
        for bucket, shown in ((self.requests, figures.requests), (self.tokens, figures.tokens)):
            window = self.request_window if bucket is self.requests else self.token_window
            rate = shown_rate(bucket, window, self.factor)
            assert shown == Shown(rate=rate, known=bucket.known, flow=bucket.flow)
        assert figures.by_chance == self.refusals.by_chance
        packed = self.client.get(self.key)
        assert isinstance(packed, bytes)
        self.compare(kept.read(packed))
        return bytes(answer)

    def compare(self, state: kept.Kept) -> None:
        for record, values in (
            (self.requests, state.requests),
            (self.tokens, state.tokens),
            (self.refusals, state.refusals),
            (self.request_window, state.request_window),
            (self.token_window, state.token_window),
        ):
            assert {name: getattr(record, name) for name in values} == values
            assert len(values) == len(fields(record))
        own = {name: value for name, value in state.quota.items() if name not in ("clock", "ahead")}
        assert {name: getattr(self, name) for name in own} == own
        sharing = self.sharing
        assert (state.shared, state.shared_at) == (sharing.shared, sharing.shared_at)
        assert state.members == [
            [flow.job, flow.weight, flow.worker, member.tag, member.until, member.wants]
            for flow, member in sharing.members.items()
        ]

    def configure(self, now: float, *, rpm: float | None, tpm: float | None) -> None:
        del now
        self.ceilings = (rpm, tpm)

    def reserve(
        self, now: float, costs: Sequence[TokenDemand], flow: Flow = ANYBODY
    ) -> tuple[list[Ticket], float | None]:
        rates = [math.inf if c is None else c / MINUTE for c in self.ceilings]
        self.heed(now, request_ceiling=rates[0], token_ceiling=rates[1])
        expected = super().reserve(now, costs, flow)
        operation = wire.reserve(flow, costs, self.ceilings)
        assert wire.tickets(self.script_does(now, operation, flow.worker), costs) == expected
        return expected

    def settle(self, now: float, ticket: Ticket, seen: Observation) -> None:
        super().settle(now, ticket, seen)
        self.script_does(now, wire.settle(ticket, seen, float))

    def pause(self, now: float, ticket: Ticket, until: float, *, slowly: bool = False) -> bool:
        expected = super().pause(now, ticket, until, slowly=slowly)
        answer = self.script_does(now, wire.pause(ticket, until, slowly=slowly))
        assert wire.began(answer) == expected
        return expected

    def give_back(self, now: float, tickets: Sequence[Ticket]) -> None:
        super().give_back(now, tickets)
        self.script_does(now, wire.give_back(tickets))


@pytest.fixture(scope="module")
def client(valkey: ValkeyServer) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(valkey.url)) as connected:
        yield connected


def answer_of(random: Random, now: float, ticket: Ticket, *, headers: bool) -> Observation:
    """Some answer to a request, likely or not."""
    told: dict[str, Any] = {
        "limit_requests": random.choice([None, 600.0, 600.0, 600.0, 6000.0]),
        "limit_tokens": random.choice([None, 60_000.0, 60_000.0]),
        "remaining_requests": random.choice([None, 0.0, random.uniform(0, 600)]),
        "remaining_tokens": random.choice([None, random.uniform(0, 60_000)]),
        "reset_requests": random.choice([None, random.uniform(0, 60), 20.0, 700.0]),
        "reset_tokens": random.choice([None, random.uniform(0, 5)]),
        "step": random.choice([0.0, 0.0, 1.0]),
    }
    return Observation(
        sent_at=min(now, ticket.send_at + random.random()),
        admitted=random.random() < 0.8,
        retry_after=random.choice([None, 0.1, 1.0, 18.0]),
        used_tokens=random.choice([None, int(ticket.cost.tokens * random.random())]),
        **(told if headers else {}),
    )


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "reserve", "settle", "settle", "pause", "give_back", "ceilings"]
        ),
        st.one_of(st.just(0.0), st.floats(0, 0.5), st.floats(0, 5), st.floats(0, 200)),
        st.integers(0, 3000),
        st.integers(0, 6),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(steps, st.integers(0, 2**32))
def test_whatever_is_called(client: redis.Redis, steps: list[Step], seed: int) -> None:
    quota, random, now = Twin(client), Random(seed), START
    held: list[Ticket] = []
    headers = random.random() < 0.6
    for action, seconds, amount, which in steps:
        now += seconds
        if action == "reserve":
            costs = [TokenDemand(random.randint(0, amount)) for _ in range(1 + which * 3)]
            held += quota.reserve(now, costs, FLOWS[which % 4])[0]
        elif action == "ceilings":
            rpm, tpm = ((None, None), (600, None), (None, 60_000), (60, 6000))[which % 4]
            quota.configure(now, rpm=rpm, tpm=tpm)
        elif held and action == "settle":
            for _ in range(min(len(held), 1 + which)):
                ticket = held.pop(random.randrange(min(len(held), 5)))
                quota.settle(now, ticket, answer_of(random, now, ticket, headers=headers))
        elif held and action == "pause":
            quota.pause(now, held.pop(0), now + random.random() * 3, slowly=which == 0)
        elif held and action == "give_back":
            quota.give_back(now, held[-which:])
            del held[-which:]


@pytest.mark.parametrize(
    ("provider", "flags"),
    [
        ({"rpm": 600, "bucket_seconds": 6}, {}),
        ({"rpm": 600, "tpm": 100_000}, {"rpm": 300}),
        ({"tpm": 100_000, "refunds": True}, {}),
        ({"tpm": 100_000, "headers": False}, {"tpm": 200_000}),
        ({"rpm": 600, "headers": False}, {}),
        ({"headers": False, "chance": 0.05}, {}),
        ({"rpm": 1200, "chance": 0.05}, {}),
    ],
    ids=["requests", "both", "refunds", "told twice", "told nothing", "chance", "known chance"],
)
def test_whole_runs(client: redis.Redis, provider: dict[str, Any], flags: dict[str, Any]) -> None:
    """A minute or more of a client and a provider, which both sides see the same."""
    work = mixed(300_000, 1, share=0.5, by_usage=bool(provider.get("refunds")))
    simulate(ReferenceProvider(**provider), work, seed=1, quota=Twin(client), **flags)


@pytest.mark.parametrize("shape", ["fixed", "started", "sliding", "two"])
@pytest.mark.parametrize("says", ["reset", "remaining", "nothing"])
@pytest.mark.parametrize("retry_after", [True, False], ids=["", "no retry-after"])
def test_runs_in_windows(client: redis.Redis, shape: str, says: str, retry_after: bool) -> None:
    """A minute or more at a provider that counts in windows, which both sides see the same."""
    told: dict[str, Any] = {"window": 20, "says": says, "phase": 993.0, "retry_after": retry_after}
    for provider, work in (
        (WindowedProvider(shape, requests=60, **told), alike(180)),
        (WindowedProvider(shape, tokens=20_000, **told), mixed(55_000, 1)),
    ):
        simulate(provider, work, seed=1, quota=Twin(client))


def test_a_crowd(client: redis.Redis) -> None:
    """Jobs of different weights, with several workers, small requests and large ones."""
    jobs = [
        Job("a", alike(2000), "high", workers=3),
        Job("b", mixed(400_000, 2), "normal", arrives=20),
        Job("c", [Request(cost=8000, used=8000)] * 50, "low", workers=2, arrives=30),
    ]
    crowd = Crowd(ReferenceProvider(rpm=600, tpm=200_000), jobs, quota=Twin(client))
    crowd.run(120)
    assert all(sum(job.sent) > 3 for job in jobs)
