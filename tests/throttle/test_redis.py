"""The throttle in Redis: what is its own, on a real server that is killed, emptied and frozen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress

import pytest
import redis

from batcher.adapters.system.clock import SystemClock
from batcher.adapters.throttle import wire
from batcher.adapters.throttle.redis import PREFIX, RedisThrottle, open_throttle
from batcher.core.errors import UsageError
from batcher.core.throttle.bucket import Ticket, TokenDemand
from batcher.core.throttle.observation import Observation
from batcher.core.throttle.sharing import Flow
from scripts.servers.ports import free_port
from tests.fakes import FakeClock
from tests.servers.valkey import ValkeyServer, valkey_server
from tests.waiting import PATIENCE_SECONDS

QUOTA = "api.example|0123abcd|gpt-4o-mini"
LOTS = [TokenDemand(1)] * 300


@pytest.fixture
def server(valkey: ValkeyServer) -> ValkeyServer:
    """The server of all tests, empty."""
    valkey.empty()
    return valkey


@pytest.fixture
def mortal() -> Iterator[ValkeyServer]:
    """A server of the test's own."""
    with valkey_server() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def pair(
    server: ValkeyServer, clock: FakeClock
) -> AsyncIterator[tuple[RedisThrottle, RedisThrottle]]:
    """Two processes' throttles, at the same time."""
    async with (
        open_throttle(server.url, clock, script_time=clock.now) as one,
        open_throttle(server.url, clock, script_time=clock.now) as other,
    ):
        yield one, other


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process brings about."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.005)


def listeners(client: redis.Redis) -> int:
    found = client.client_list(_type="pubsub")
    assert isinstance(found, list)
    return len(found)


async def heard(throttle: RedisThrottle) -> None:
    """Wait until Redis has heard what it was told, for the sake of other processes."""
    _, conveyor = throttle._open(QUOTA)
    await conveyor.put(wire.LOOK, must=False)


async def teach(throttle: RedisThrottle, clock: FakeClock, rpm: float, remaining: float) -> Ticket:
    """The first request and its answer."""
    (ticket,) = (await throttle.reserve(QUOTA, [TokenDemand(1)])).tickets
    seen = Observation(
        sent_at=clock.now(), admitted=True, limit_requests=rpm, remaining_requests=remaining
    )
    await throttle.settle(QUOTA, ticket, seen)
    await heard(throttle)
    return ticket


# --- one limit for all --------------------------------------------------------------------------


async def test_processes_share_one_limit(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    one, other = pair
    await teach(one, clock, 600, 50)
    granted = [len((await throttle.reserve(QUOTA, LOTS)).tickets) for throttle in pair]
    assert 50 <= sum(granted) <= 50 + 10 * 2 + 10  # what was there, two seconds, a second's burst
    assert other.limits(QUOTA).requests_per_minute == 600


async def test_workers_of_one_job_get_the_same(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    await teach(pair[0], clock, 600, 0)
    flow = Flow("job")
    due, sent = [clock.now()] * 2, [0, 0]
    end = clock.now() + 60
    while clock.now() < end:
        for number, throttle in enumerate(pair):
            if due[number] <= clock.now():
                grant = await throttle.reserve(QUOTA, LOTS, flow)
                assert grant.come_back_at is not None
                due[number] = grant.come_back_at
                sent[number] += len(grant.tickets)
        clock.set(min(due))
    assert sum(sent) == pytest.approx(600, rel=0.05)
    assert sent[0] == pytest.approx(sent[1], rel=0.05)


async def test_a_pause_is_heard_by_those_who_sleep(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    one, other = pair
    mine = await teach(one, clock, 600, 50)
    (theirs,) = (await other.reserve(QUOTA, [TokenDemand(1)])).tickets
    assert not other.is_void(QUOTA, theirs)
    await one.pause(QUOTA, mine, until=clock.now() + 5)
    await until(lambda: other.is_void(QUOTA, theirs))
    assert other.limits(QUOTA).paused_until == clock.now() + 5


async def test_the_lowest_ceiling_of_all_processes_holds(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    one, other = pair
    with one.ceiling(QUOTA, rpm=60, tpm=None):
        await teach(one, clock, 600, 599)
    await other.reserve(QUOTA, [TokenDemand(1)])
    assert other.limits(QUOTA).requests_per_minute == 60
    clock.set(clock.now() + 61)
    await other.reserve(QUOTA, [TokenDemand(1)])
    assert other.limits(QUOTA).requests_per_minute == 600


# --- what is in Redis ---------------------------------------------------------------------------


async def test_it_holds_hashes_and_numbers_and_forgets_them(
    pair: tuple[RedisThrottle, RedisThrottle], server: ValkeyServer, clock: FakeClock
) -> None:
    await teach(pair[0], clock, 600, 50)
    await pair[1].reserve(QUOTA, LOTS, Flow("01hjob"))
    with closing(redis.Redis.from_url(server.url)) as client:
        keys = client.keys()
        assert isinstance(keys, list)
        (key,) = keys
        assert key.startswith(f"{PREFIX}{{".encode())
        assert key.endswith(b"}")
        kept = client.get(key)
        assert isinstance(kept, bytes)
        for part in QUOTA.split("|"):
            assert part.encode() not in key + kept
        seconds = client.ttl(key)
        assert isinstance(seconds, int)
        assert 3600 < seconds <= 24 * 3600


async def test_a_fresh_quota_lets_one_request_out_to_learn(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    one, other = pair
    first = await one.reserve(QUOTA, LOTS)
    assert len(first.tickets) == 1
    assert first.come_back_at is not None
    assert clock.now() < first.come_back_at <= clock.now() + 1
    assert (await other.reserve(QUOTA, LOTS)).tickets == ()
    seen = Observation(sent_at=clock.now(), admitted=True)
    await one.settle(QUOTA, first.tickets[0], seen)
    await heard(one)
    assert len((await other.reserve(QUOTA, LOTS)).tickets) == len(LOTS)


async def test_a_lost_first_request_is_not_waited_for_for_ever(
    pair: tuple[RedisThrottle, RedisThrottle], clock: FakeClock
) -> None:
    one, other = pair
    await one.reserve(QUOTA, LOTS)
    clock.set(clock.now() + 11)
    assert len((await other.reserve(QUOTA, LOTS)).tickets) == 1


async def test_a_redis_that_lost_its_data_admits_no_burst(
    pair: tuple[RedisThrottle, RedisThrottle], server: ValkeyServer, clock: FakeClock
) -> None:
    one, other = pair
    await teach(one, clock, 600, 5)
    clock.set(clock.now() + 0.5)
    (before,) = (await other.reserve(QUOTA, [TokenDemand(1)])).tickets
    server.empty()
    granted = [ticket for each in pair for ticket in (await each.reserve(QUOTA, LOTS)).tickets]
    assert len(granted) == 1
    await until(lambda: other.is_void(QUOTA, before))
    assert not other.is_void(QUOTA, granted[0])
    # An answer to what went out before still tells the limit; no level, though.
    seen = Observation(
        sent_at=clock.now(), admitted=True, limit_requests=600, remaining_requests=400
    )
    await other.settle(QUOTA, before, seen)
    await other.give_back(QUOTA, [before])
    grant = await other.reserve(QUOTA, LOTS)
    assert sum(ticket.send_at == clock.now() for ticket in grant.tickets) <= 10
    assert other.limits(QUOTA).requests_per_minute == 600


async def test_a_clock_that_is_set_back_stops_nobody(server: ValkeyServer) -> None:
    clock = FakeClock()
    shown = [5000.0]
    async with open_throttle(server.url, clock, script_time=lambda: shown[0]) as throttle:
        with throttle.ceiling(QUOTA, rpm=600, tpm=None):
            for number in range(10):
                clock.set(clock.now() + 2)
                shown[0] += -3600 if number == 5 else 2
                grant = await throttle.reserve(QUOTA, LOTS)
                assert number == 5 or len(grant.tickets) >= 15
                assert all(t.send_at <= clock.now() + 2.5 for t in grant.tickets)


# --- by the server's own clock, with connections that break ---------------------------------------


async def test_send_times_are_on_our_clock(server: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(server.url, clock) as throttle:
        with throttle.ceiling(QUOTA, rpm=6000, tpm=None):
            before = clock.now()
            grant = await throttle.reserve(QUOTA, LOTS * 2)
            after = clock.now()
            assert before <= grant.tickets[0].send_at <= after + 0.01
            assert grant.tickets[-1].send_at == pytest.approx(after + 2, abs=0.1)
            assert grant.come_back_at == pytest.approx(after + 2, abs=0.3)
            until_then = clock.now() + 7
            assert await throttle.pause(QUOTA, grant.tickets[0], until=until_then)
            paused_until = throttle.limits(QUOTA).paused_until
            assert paused_until is not None
            assert until_then <= paused_until <= until_then + 0.5


async def test_answers_that_come_together_go_together(server: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(server.url, clock) as throttle:
        with throttle.ceiling(QUOTA, rpm=1_000_000, tpm=None):
            tickets = (await throttle.reserve(QUOTA, LOTS)).tickets
            assert len(tickets) == len(LOTS)
            with closing(redis.Redis.from_url(server.url)) as client:
                client.config_resetstat()
                seen = Observation(sent_at=clock.now(), admitted=True)
                for ticket in tickets:
                    await throttle.settle(QUOTA, ticket, seen)
                await throttle.reserve(QUOTA, LOTS[:1])  # is asked behind them
                stats = client.info("commandstats")
        assert isinstance(stats, dict)
        assert stats["cmdstat_evalsha"]["calls"] <= 3


async def test_without_a_server_it_says_so_at_once() -> None:
    url = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    async with open_throttle(url, SystemClock()) as throttle:
        with pytest.raises(UsageError, match="Redis cannot be used") as caught:
            await throttle.check(QUOTA)
    assert "hunter2" not in f"{caught.value} {throttle!r}"


async def test_a_server_that_went_away_is_waited_for(mortal: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(mortal.url, clock) as throttle:
        with throttle.ceiling(QUOTA, rpm=600, tpm=None):
            (ticket, *_) = (await throttle.reserve(QUOTA, LOTS)).tickets
            mortal.kill()
            reserving = asyncio.ensure_future(throttle.reserve(QUOTA, LOTS))
            seen = Observation(sent_at=clock.now(), admitted=True)
            async with asyncio.timeout(PATIENCE_SECONDS):  # the server is not there before its end
                await throttle.settle(QUOTA, ticket, seen)
                await throttle.give_back(QUOTA, [ticket])
                assert await throttle.pause(QUOTA, ticket, until=clock.now() + 0.5)
            assert repr(throttle) == "<RedisThrottle 1 quotas, connection lost>"
            assert not reserving.done()
            mortal.start()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reserving
            # The pause that could not be told was told after all.
            await until(lambda: throttle.is_void(QUOTA, ticket))
            assert repr(throttle) == "<RedisThrottle 1 quotas, connected>"


async def test_a_server_that_hangs_holds_up_no_answer(mortal: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(mortal.url, clock) as throttle:
        with throttle.ceiling(QUOTA, rpm=600, tpm=None):
            tickets = (await throttle.reserve(QUOTA, LOTS)).tickets
            with mortal.frozen():
                reserving = asyncio.ensure_future(throttle.reserve(QUOTA, LOTS))
                seen = Observation(sent_at=clock.now(), admitted=True)
                settling = asyncio.gather(*(throttle.settle(QUOTA, each, seen) for each in tickets))
                done, _ = await asyncio.wait([settling], timeout=0)  # there is nothing to wait for
                assert done
                assert not reserving.done()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await reserving


async def test_a_server_that_comes_back_empty_lets_one_request_out(mortal: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(mortal.url, clock) as throttle:
        (ticket,) = (await throttle.reserve(QUOTA, LOTS)).tickets
        await throttle.settle(QUOTA, ticket, Observation(sent_at=clock.now(), admitted=True))
        assert len((await throttle.reserve(QUOTA, LOTS)).tickets) == len(LOTS)
        mortal.restart(keep_data=False)
        async with asyncio.timeout(PATIENCE_SECONDS):
            grant = await throttle.reserve(QUOTA, LOTS)
        assert len(grant.tickets) == 1
        assert throttle.is_void(QUOTA, ticket)


async def test_the_channel_is_heard_again_after_a_restart(mortal: ValkeyServer) -> None:
    clock = SystemClock()
    async with (
        open_throttle(mortal.url, clock) as one,
        open_throttle(mortal.url, clock) as other,
    ):
        (mine,) = (await one.reserve(QUOTA, [TokenDemand(1)])).tickets
        await one.settle(QUOTA, mine, Observation(sent_at=clock.now(), admitted=True))
        await heard(one)
        (theirs,) = (await other.reserve(QUOTA, [TokenDemand(1)])).tickets
        mortal.restart()
        with closing(redis.Redis.from_url(mortal.url)) as client:
            await until(lambda: listeners(client) == 2)
        await one.pause(QUOTA, mine, until=clock.now() + 60)
        await until(lambda: other.is_void(QUOTA, theirs))


async def test_what_was_reserved_for_one_who_is_gone_is_given_back(mortal: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(mortal.url, clock) as throttle:
        with throttle.ceiling(QUOTA, rpm=600, tpm=None):
            await throttle.reserve(QUOTA, [TokenDemand(1)])
            mortal.kill()
            reserving = asyncio.ensure_future(throttle.reserve(QUOTA, LOTS))
            await asyncio.sleep(0.1)
            reserving.cancel()
            with suppress(asyncio.CancelledError):
                await reserving
            mortal.start()
            async with asyncio.timeout(PATIENCE_SECONDS):
                first = await throttle.reserve(QUOTA, [TokenDemand(1)] * 5)
            assert first.tickets[-1].send_at < clock.now() + 0.5


async def test_a_server_that_forgot_the_script_is_told_it_again(server: ValkeyServer) -> None:
    async with open_throttle(server.url, SystemClock()) as throttle:
        await throttle.check(QUOTA)
        with closing(redis.Redis.from_url(server.url)) as client:
            client.script_flush()
        assert (await throttle.reserve(QUOTA, [TokenDemand(1)])).tickets


async def test_what_was_told_last_is_there_when_it_is_closed(server: ValkeyServer) -> None:
    clock = SystemClock()
    async with open_throttle(server.url, clock) as throttle:
        (ticket,) = (await throttle.reserve(QUOTA, [TokenDemand(100)])).tickets
        seen = Observation(
            sent_at=clock.now(), admitted=True, limit_requests=600, remaining_requests=599
        )
        await throttle.settle(QUOTA, ticket, seen)
    async with open_throttle(server.url, clock) as another:
        await another.reserve(QUOTA, [TokenDemand(1)])
        assert another.limits(QUOTA).requests_per_minute == 600
