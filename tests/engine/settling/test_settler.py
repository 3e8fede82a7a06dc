"""What an answer is: good, cut off, an error in a 200, or a failure; and what it leaves behind."""

from __future__ import annotations

import json

import pytest

from batcher.core.errors import TransportError
from batcher.ports import Reply
from tests.engine.calls import a_shard
from tests.engine.settling.failing.parts import KEY
from tests.engine.settling.settling_parts import Settling, answer, error

LOST = TransportError("timeout", f"no answer: {KEY}", maybe_billed=True)
REFUSED = TransportError("connect", "nobody is there", maybe_billed=False)
LARGE = TransportError("answer_too_large", "too large", maybe_billed=True, final=True)


async def test_a_good_answer_is_a_result_that_is_paid_for() -> None:
    settling, shard = Settling(), a_shard(1)
    (call,) = settling.fly(shard)
    await settling.settler.answered(settling.sent(call), answer("hello"))
    checkpoint = settling.taken(shard)
    assert (checkpoint.event.done, checkpoint.rows_done, checkpoint.finished) == ((0,), 1, True)
    usage = checkpoint.usage
    assert (usage.requests, usage.prompt_tokens, usage.completion_tokens) == (1, 10, 5)
    assert checkpoint.doubt.requests == 0
    assert settling.verdicts.had_success


@pytest.mark.parametrize(
    ("reply", "doubts"),
    [
        (Reply(200, {}, b'{"choices": ['), 1),
        (Reply(200, {"content-type": "text/html"}, b"<html>"), 1),
        (Reply(200, {}, json.dumps({"error": {"message": "x", "code": 500}}).encode()), 0),
        (error(500, "server_error"), 0),
    ],
)
async def test_what_is_no_result_is_asked_for_again_and_counted(reply: Reply, doubts: int) -> None:
    """A 200 that nobody can read may have been billed."""
    settling, shard = Settling(had_success=True), a_shard(1)
    (call,) = settling.fly(shard)
    await settling.settler.answered(settling.sent(call), reply)
    checkpoint = settling.taken(shard)
    assert (checkpoint.event.done, checkpoint.dead) == ((), ())
    assert (checkpoint.usage.requests, checkpoint.doubt.requests) == (1, doubts)
    assert settling.due() == [call]
    assert call.tries == 1
    assert bool(call.after_flush) == bool(doubts), "sent again once the doubt is written down"


@pytest.mark.parametrize(("lost", "doubts"), [(LOST, 1), (REFUSED, 0)])
async def test_what_was_lost_is_sent_again_and_in_doubt_where_it_may_be_billed(
    lost: TransportError, doubts: int
) -> None:
    settling, shard = Settling(had_success=True), a_shard(1)
    (call,) = settling.fly(shard)
    await settling.settler.lost(settling.sent(call), lost)
    checkpoint = settling.taken(shard)
    assert checkpoint.doubt.requests == doubts
    assert settling.due() == [call]
    assert KEY not in settling.health.last_failure


async def test_an_answer_that_will_always_be_too_large_is_halved() -> None:
    settling, shard = Settling(had_success=True), a_shard(2)
    (call,) = settling.fly(shard)
    await settling.settler.lost(settling.sent(call), LARGE)
    assert sorted(half.pieces for half in settling.due()) == [(0,), (1,)]


async def test_nothing_is_settled_of_a_shard_that_is_somebody_elses() -> None:
    settling, shard = Settling(), a_shard(1, 1)
    first, second = settling.fly(shard)
    shard.lost = True
    await settling.settler.answered(settling.sent(first), answer("hello"))
    await settling.settler.lost(settling.sent(second), LOST)
    checkpoint = settling.taken(shard)
    assert (checkpoint.event.done, checkpoint.doubt.requests) == ((), 0)
    assert settling.due() == []


async def test_what_nobody_waits_for_is_in_doubt() -> None:
    settling, shard = Settling(), a_shard(2)
    (call,) = settling.fly(shard)
    settling.settler.leave(call)
    doubt = settling.taken(shard).doubt
    assert (doubt.requests, doubt.pieces) == (1, 2)
