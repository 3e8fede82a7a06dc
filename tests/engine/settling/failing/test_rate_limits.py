"""Rate limits: everyone pauses once, the call goes again untouched; or the job pauses."""

from __future__ import annotations

from batcher.core.failures.verdicts import PauseJob, SharedPause
from batcher.core.throttle.bucket import TokenDemand
from batcher.core.throttle.sharing import ANYBODY
from batcher.engine.routes.route import Sent
from batcher.engine.shards.call import Call
from tests.engine.calls import a_shard
from tests.engine.settling.settling_parts import Settling


async def sent_now(settling: Settling, call: Call) -> Sent:
    """The call, with a send time of the throttle's."""
    grant = await settling.throttle.reserve("q", [TokenDemand(1)], ANYBODY)
    return settling.pace.begin(call, grant.tickets[0], settling.learning.learned)


async def test_many_refused_at_once_make_one_pause_and_no_attempt() -> None:
    settling = Settling(had_success=True)
    calls = settling.fly(a_shard(1, 1, 1))
    all_sent = [await sent_now(settling, call) for call in calls]
    for sent in all_sent:
        await settling.rate_limits.pause(sent, SharedPause(7.0), "slow down")
    assert sorted(settling.due(), key=lambda call: call.unit_index) == calls
    assert [call.tries for call in calls] == [0, 0, 0]
    paused_until = settling.throttle.limits("q").paused_until
    assert paused_until == settling.clock.now() + 7.0
    assert (settling.live.rate_limited, settling.live.last_limit) == (3, "slow down")
    assert settling.endings == []


async def test_pauses_that_name_no_time_grow_until_a_result_comes() -> None:
    settling = Settling(had_success=True)
    (call,) = settling.fly(a_shard(1))

    async def paused() -> float:
        sent = await sent_now(settling, call)
        await settling.rate_limits.pause(sent, SharedPause(None), "")
        until = settling.throttle.limits("q").paused_until
        assert until is not None
        seconds = until - settling.clock.now()
        settling.clock.set(until + 1.0)
        return seconds

    waits = [await paused() for _ in range(4)]
    assert waits[3] > waits[0] > 0
    settling.pace.resume()
    assert await paused() < waits[3]


async def test_out_of_credit_pauses_the_job_and_keeps_the_call() -> None:
    settling = Settling(had_success=True)
    (call,) = settling.fly(a_shard(1))
    sent = await sent_now(settling, call)
    settling.rate_limits.stop(sent, PauseJob("no credit", 3600.0))
    (ending,) = settling.endings
    assert (ending.status, ending.exit_code, ending.reason) == ("paused", 5, "no credit")
    assert ending.resume_at is not None
    assert ending.resume_at.timestamp() == settling.clock.wall() + 3600.0
    assert settling.due() == [call]
