"""Refusals: of one call, or of everybody; a request known to be good tells which."""

from __future__ import annotations

from batcher.core.failures.outage import ALIKE, PROBES
from batcher.core.failures.verdicts import Refusal
from batcher.engine.settling.failing.known_good import KnownGoodCall, KnownRequest
from tests.engine.calls import a_shard
from tests.engine.settling.failing.parts import Failing

FORBIDDEN = Refusal("forbidden", "not for you", "check what is sent", "403 forbidden")
NO_KEY = Refusal("unauthorized", "no such key", "set the key", "401", named=True, unsigned=True)


async def test_a_wrong_key_ends_the_run_and_fails_no_row() -> None:
    failing, shard = Failing(), a_shard(*[1] * 6)
    for call in failing.fly(shard):
        for other in shard.calls:
            if other is not call and failing.gate.in_flight > 1:
                failing.land(other)
        await failing.refusals.refuse(call, NO_KEY)
        if failing.endings:
            break
    (ending,) = failing.endings
    assert "set the key" in str(ending.reason)
    assert failing.letters(shard) == []


async def test_a_row_that_is_refused_while_others_succeed_is_a_dead_letter_alone() -> None:
    failing, shard = Failing(had_success=True), a_shard(1, 1)
    call, _ = failing.fly(shard)
    for _ in range(9):
        await failing.refusals.refuse(call, FORBIDDEN)
        failing.succeed()
    assert {(row, code) for row, code, _ in failing.letters(shard)} == {(100, "forbidden")}
    assert not failing.endings


async def test_many_refused_alike_have_what_was_answered_before_sent_once_more() -> None:
    failing = Failing(had_success=True, known=KnownRequest(("short",), 3))
    shard = a_shard(*[1] * (ALIKE + 1))
    calls = failing.fly(shard)
    for call in calls:
        await failing.refusals.refuse(call, FORBIDDEN)
        failing.land(call)
    asked = failing.queue.first
    assert isinstance(asked, KnownGoodCall)
    assert asked.prompts() == [("short",)]
    checkpoint = shard.take_checkpoint(sent_through=0, released=False)
    assert checkpoint.dead == ()
    assert checkpoint.doubt.requests == 1, "it is paid for again, and says so before it is sent"


async def test_where_that_is_refused_too_the_run_ends() -> None:
    failing = Failing(had_success=True, known=KnownRequest(("short",), 3))
    (call,) = failing.fly(a_shard(1))
    assert await failing.known_good.ask(call.shard)
    asked = failing.queue.first
    assert isinstance(asked, KnownGoodCall)
    for number in range(PROBES):
        assert len(failing.endings) == 0, number
        failing.refusals.refuse_known_good(asked, FORBIDDEN, "not for you")
    assert len(failing.endings) == 1
