"""What every throttle promises (`batcher.ports.Throttle`), whatever it keeps its state in."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from batcher.adapters.throttle import MemoryThrottle
from batcher.adapters.throttle.redis import open_throttle
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import WEIGHTS, Flow
from tests.fakes import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from batcher.adapters.throttle.redis import RedisThrottle
    from batcher.ports import Throttle
    from tests.servers.valkey import ValkeyServer

LIMITED = "limited"
FREE = "free"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=["memory", "redis"])
async def throttle(
    request: pytest.FixtureRequest, clock: FakeClock
) -> AsyncIterator[MemoryThrottle | RedisThrottle]:
    """A throttle whose quota `limited` has a ceiling of 600 requests and 60,000 tokens a minute.

    Of `free` it has heard once, and nothing of limits.
    """
    async with AsyncExitStack() as stack:
        throttle: MemoryThrottle | RedisThrottle = MemoryThrottle(clock)
        if request.param == "redis":
            server: ValkeyServer = request.getfixturevalue("valkey")
            server.empty()
            throttle = await stack.enter_async_context(
                open_throttle(server.url, clock, script_time=clock.now)
            )
        stack.enter_context(throttle.ceiling(LIMITED, rpm=600, tpm=60_000))
        ticket = await one(throttle, FREE)
        await throttle.settle(FREE, ticket, Observation(sent_at=clock.now(), admitted=True))
        yield throttle


async def one(throttle: Throttle, quota: str, tokens: int = 1) -> Ticket:
    grant = await throttle.reserve(quota, [TokenDemand(tokens)])
    (ticket,) = grant.tickets
    return ticket


async def test_where_nothing_is_known_more_and_more_is_released(
    throttle: Throttle, clock: FakeClock
) -> None:
    grant = await throttle.reserve(FREE, [TokenDemand(10_000)] * 100)
    times = [ticket.send_at for ticket in grant.tickets]
    assert len(times) == 100
    assert times == sorted(times)
    assert clock.now() <= times[0]
    assert times[-1] < clock.now() + 0.03
    assert grant.come_back_at is None
    limits = throttle.limits(FREE)
    assert limits.requests_per_minute is None
    assert limits.tokens_per_minute is None


async def test_nothing_asked_nothing_granted(throttle: Throttle) -> None:
    grant = await throttle.reserve(LIMITED, [])
    assert grant.tickets == ()
    assert grant.come_back_at is None


async def test_tickets_come_in_the_order_of_the_costs(throttle: Throttle) -> None:
    costs = [TokenDemand(5), TokenDemand(900), TokenDemand(1), TokenDemand(300), TokenDemand(2)]
    grant = await throttle.reserve(LIMITED, costs)
    assert [ticket.cost for ticket in grant.tickets] == costs[: len(grant.tickets)]
    times = [ticket.send_at for ticket in grant.tickets]
    assert times == sorted(times)


async def test_a_pump_that_comes_back_as_told_keeps_the_limit_busy(
    throttle: Throttle, clock: FakeClock
) -> None:
    sent: list[float] = []
    calls = 0
    started = clock.now()
    while clock.now() < started + 20:
        grant = await throttle.reserve(LIMITED, [TokenDemand(1)] * 100)
        calls += 1
        sent += [ticket.send_at for ticket in grant.tickets]
        assert grant.come_back_at is not None
        assert grant.come_back_at > clock.now()
        assert all(t.send_at <= clock.now() + 2 for t in grant.tickets)
        clock.set(grant.come_back_at)
    span = sent[-1] - sent[0]
    assert len(sent) <= 10 + 10 * span + 1
    assert len(sent) >= 10 * span
    assert calls <= 20 / 1.5


async def test_flows_get_parts_by_their_weights(throttle: Throttle, clock: FakeClock) -> None:
    flows = [Flow("a", WEIGHTS["high"]), Flow("b", WEIGHTS["low"])]
    due = dict.fromkeys(flows, clock.now())
    sent = dict.fromkeys(flows, 0)
    until = clock.now() + 60
    while clock.now() < until:
        for flow in flows:
            if due[flow] <= clock.now():
                grant = await throttle.reserve(LIMITED, [TokenDemand(1)] * 100, flow)
                assert grant.come_back_at is not None
                due[flow] = grant.come_back_at
                sent[flow] += len(grant.tickets)
        clock.set(min(due.values()))
    high, low = sent.values()
    assert high + low == pytest.approx(600, rel=0.05)
    assert high / low == pytest.approx(4, rel=0.1)


async def test_quotas_do_not_touch_each_other(throttle: Throttle, clock: FakeClock) -> None:
    ticket = await one(throttle, LIMITED)
    await throttle.pause(LIMITED, ticket, until=clock.now() + 60)
    other = await one(throttle, FREE)
    assert clock.now() <= other.send_at < clock.now() + 0.001
    assert not throttle.is_void(FREE, other)


async def test_what_is_given_back_is_free_again(throttle: Throttle, clock: FakeClock) -> None:
    first = await throttle.reserve(LIMITED, [TokenDemand(1)] * 10)
    await throttle.give_back(LIMITED, first.tickets)
    second = await throttle.reserve(LIMITED, [TokenDemand(1)] * 10)
    assert [t.send_at for t in second.tickets] == [clock.now()] * 10


async def test_headers_set_the_limits(throttle: Throttle, clock: FakeClock) -> None:
    ticket = await one(throttle, FREE)
    seen = Observation(
        sent_at=clock.now(),
        admitted=True,
        limit_requests=1200,
        remaining_requests=40,
        limit_tokens=90_000,
        remaining_tokens=80_000,
    )
    await throttle.settle(FREE, ticket, seen)
    grant = await throttle.reserve(FREE, [TokenDemand(1)] * 200)
    assert sum(t.send_at < clock.now() + 0.001 for t in grant.tickets) == 40
    limits = throttle.limits(FREE)
    assert limits.requests_per_minute == 1200
    assert limits.tokens_per_minute == 90_000


async def test_a_ceiling_stands_under_a_higher_limit(throttle: Throttle, clock: FakeClock) -> None:
    ticket = await one(throttle, LIMITED)
    seen = Observation(
        sent_at=clock.now(), admitted=True, limit_requests=6000, remaining_requests=5999
    )
    await throttle.settle(LIMITED, ticket, seen)
    await one(throttle, LIMITED)
    assert throttle.limits(LIMITED).requests_per_minute == 600


async def test_a_lower_limit_stands_under_a_ceiling(throttle: Throttle, clock: FakeClock) -> None:
    ticket = await one(throttle, LIMITED)
    seen = Observation(sent_at=clock.now(), admitted=True, limit_requests=60, remaining_requests=9)
    await throttle.settle(LIMITED, ticket, seen)
    await one(throttle, LIMITED)
    assert throttle.limits(LIMITED).requests_per_minute == 60


async def test_a_pause_voids_tickets_and_lasts(throttle: Throttle, clock: FakeClock) -> None:
    grant = await throttle.reserve(LIMITED, [TokenDemand(1)] * 20)
    until = clock.now() + 5
    assert await throttle.pause(LIMITED, grant.tickets[0], until=until)
    assert all(throttle.is_void(LIMITED, ticket) for ticket in grant.tickets)
    assert throttle.limits(LIMITED).paused_until == until

    clock.set(until - 0.001)
    during = await throttle.reserve(LIMITED, [TokenDemand(1)])
    assert during.tickets == ()
    assert during.come_back_at == until

    clock.set(until)
    after = await throttle.reserve(LIMITED, [TokenDemand(1)] * 5)
    assert after.tickets
    assert all(ticket.send_at > until for ticket in after.tickets)
    assert not any(throttle.is_void(LIMITED, ticket) for ticket in after.tickets)
    assert throttle.limits(LIMITED).paused_until is None


async def test_rates_fall_once_per_epoch(throttle: Throttle, clock: FakeClock) -> None:
    grant = await throttle.reserve(LIMITED, [TokenDemand(1)] * 10)
    opened = [
        await throttle.pause(LIMITED, ticket, until=clock.now() + n)
        for n, ticket in enumerate(grant.tickets)
    ]
    assert opened == [True] + [False] * 9
    limits = throttle.limits(LIMITED)
    assert limits.requests_per_minute == pytest.approx(450)
    assert limits.tokens_per_minute == pytest.approx(45_000)
    assert limits.paused_until == clock.now() + 9


async def test_void_tickets_are_settled_and_given_back_in_vain(
    throttle: Throttle, clock: FakeClock
) -> None:
    grant = await throttle.reserve(LIMITED, [TokenDemand(1)] * 10)
    until = clock.now() + 1
    await throttle.pause(LIMITED, grant.tickets[0], until=until)
    await throttle.give_back(LIMITED, grant.tickets[1:5])
    for ticket in grant.tickets[5:]:
        await throttle.settle(
            LIMITED, ticket, Observation(sent_at=clock.now(), admitted=True, used_tokens=0)
        )
    clock.set(until)
    assert (await throttle.reserve(LIMITED, [TokenDemand(1)])).tickets[0].send_at > until


async def test_shares_show_the_use(throttle: Throttle, clock: FakeClock) -> None:
    assert throttle.limits(LIMITED).requests_share == 0
    for _ in range(40):
        await throttle.reserve(LIMITED, [TokenDemand(1)] * 5)  # half of the 10 a second
        clock.set(clock.now() + 1)
    limits = throttle.limits(LIMITED)
    assert limits.requests_share == pytest.approx(0.5, abs=0.1)
    assert limits.tokens_share < 0.01


async def test_the_lowest_ceiling_of_a_process_holds(throttle: Throttle, clock: FakeClock) -> None:
    with throttle.ceiling(LIMITED, rpm=60, tpm=None):
        await one(throttle, LIMITED)
        limits = throttle.limits(LIMITED)
        assert limits.requests_per_minute == 60
        assert limits.tokens_per_minute == 60_000
    clock.set(clock.now() + 61)
    await one(throttle, LIMITED)
    assert throttle.limits(LIMITED).requests_per_minute == 600


@pytest.mark.parametrize("bad", [0, -1, float("inf"), float("nan")])
def test_impossible_ceilings_are_refused(throttle: Throttle, bad: float) -> None:
    with pytest.raises(ValueError, match="limit"), throttle.ceiling(FREE, rpm=bad, tpm=None):
        pass


def test_repr(clock: FakeClock) -> None:
    assert repr(MemoryThrottle(clock)) == "<MemoryThrottle no quotas>"
    throttle = MemoryThrottle(clock, {"a": (600, None)})
    assert repr(throttle) == "<MemoryThrottle a: 600 rpm, unlimited tpm>"
