"""Failures that may pass: attempts count only where others succeed, and an outage fails no row."""

from __future__ import annotations

from batcher.core.failures.outage import OUTAGE_AFTER_SECONDS
from batcher.core.failures.verdicts import MAX_ATTEMPTS, Backoff
from batcher.engine.shards.call import Call
from tests.engine.calls import a_shard
from tests.engine.settling.failing.parts import Failing

TIMEOUT = Backoff("timeout", "no answer")


def fail(failing: Failing, call: Call, times: int, *, others_succeed: bool) -> None:
    for _ in range(times):
        if others_succeed:
            failing.succeed()
        call.start(failing.clock.now())
        failing.passing.back_off(call, TIMEOUT)


def test_a_row_that_fails_while_others_succeed_is_a_dead_letter_in_the_end() -> None:
    failing, shard = Failing(), a_shard(1, 1)
    call, _ = failing.fly(shard)
    fail(failing, call, MAX_ATTEMPTS - 1, others_succeed=True)
    assert failing.letters(shard) == []
    fail(failing, call, 1, others_succeed=True)
    assert [code for _, code, _ in failing.letters(shard)] == ["timeout"]


def test_an_outage_counts_no_attempt_and_fails_no_row() -> None:
    failing, shard = Failing(had_success=True), a_shard(1, 1)
    call, _ = failing.fly(shard)
    failing.succeed()
    fail(failing, call, 1, others_succeed=False)
    attempts = call.attempts
    failing.clock.set(failing.clock.now() + OUTAGE_AFTER_SECONDS)
    fail(failing, call, 20, others_succeed=False)
    assert failing.state.in_outage
    assert call.attempts == attempts
    assert failing.letters(shard) == []
    assert failing.in_flight.room(failing.clock.now(), 9) == 0, "the next probe has to wait"


def test_the_wait_that_is_asked_for_is_kept() -> None:
    failing = Failing(had_success=True)
    (call,) = failing.fly(a_shard(1))
    failing.passing.back_off(call, Backoff("overloaded", "later", wait_seconds=40.0))
    due = failing.queue.next_due(failing.clock.now())
    assert due is not None
    assert due >= failing.clock.now() + 40.0


def test_a_cause_that_lasts_ends_the_run_before_any_success_after_a_few_probes() -> None:
    failing, shard = Failing(), a_shard(1)
    (call,) = failing.fly(shard)
    lasting = Backoff("connect", "no such host", lasting="check the address")
    for _ in range(9):
        failing.passing.back_off(call, lasting)
        if failing.endings:
            break
    (ending,) = failing.endings
    assert "check the address" in str(ending.reason)
    assert failing.letters(shard) == []


def test_where_nobody_can_vouch_for_a_large_request_its_halves_go() -> None:
    failing, shard = Failing(had_success=True), a_shard(4)
    (call,) = failing.fly(shard)
    failing.clock.set(failing.clock.now() + 1.0)
    sizes = set()
    for _ in range(MAX_ATTEMPTS):
        failing.passing.back_off(call, TIMEOUT)
        sizes |= {len(waiting.pieces) for waiting in failing.queue.waiting()}
        if 2 in sizes:
            break
        failing.queue.move_due(float("inf"), 0, behind=False)
        assert failing.queue.take(1) == [call]
    assert 2 in sizes
    assert failing.letters(shard) == []
