"""Answers that were paid for and cannot be used: asked for again a few times, then the end."""

from __future__ import annotations

from batcher.core.failures.unusable import FIRST_ANSWERS, WHOLE_IN_A_ROW
from batcher.core.failures.verdicts import MAX_REPAIRS
from batcher.core.kind import Broken, Invalid
from batcher.engine.shards.call import Call
from tests.engine.calls import a_shard
from tests.engine.settling.failing.parts import KEY
from tests.engine.settling.settling_parts import Settling

INVALID = Invalid("invalid_output", "not of its schema", f"{{ {KEY}")
BROKEN = Broken("missing", "nothing in it")
WHOLE = Broken("wrong_index", "under wrong indexes", whole=True)


def again(settling: Settling) -> list[Call]:
    """What waits to be sent again; it is taken out."""
    settling.queue.move_due(float("inf"), 1 << 30, behind=True)
    return settling.queue.take(len(settling.queue.ready))


def test_an_invalid_answer_is_repaired_twice_and_then_a_dead_letter() -> None:
    settling, shard = Settling(had_success=True), a_shard(1)
    (call,) = settling.fly(shard)
    settling.repairs.note_result()
    for repairs in range(1, MAX_REPAIRS + 1):
        settling.repairs.repair([(call, INVALID)])
        assert again(settling) == [call]
        assert (call.repairs, call.repair) == (repairs, INVALID)
        assert call.after_flush, "what it cost is written down before it is sent again"
    settling.repairs.repair([(call, INVALID)])
    assert again(settling) == []
    ((_, code, message),) = settling.letters(shard)
    assert code == "invalid_output"
    assert message == "not of its schema"


def test_before_any_result_rows_that_stay_invalid_are_held() -> None:
    settling, shard = Settling(), a_shard(1)
    (call,) = settling.fly(shard)
    call.repairs = MAX_REPAIRS
    settling.repairs.repair([(call, INVALID)])
    assert settling.letters(shard) == []
    assert settling.verdicts.are_waiting
    settling.repairs.note_result()
    assert [code for _, code, _ in settling.letters(shard)] == ["invalid_output"]


def test_first_answers_that_are_all_invalid_end_the_run_and_fail_no_row() -> None:
    settling, shard = Settling(), a_shard(*[1] * FIRST_ANSWERS)
    calls = settling.fly(shard)
    for call in calls:
        assert not settling.endings
        settling.repairs.repair([(call, INVALID)])
    (ending,) = settling.endings
    assert ending.exit_code == 2
    assert KEY not in str(ending.reason)
    assert settling.letters(shard) == []
    assert len(again(settling)) == FIRST_ANSWERS, "whoever goes on with the job tries them again"


def test_an_answer_that_holds_nothing_is_no_outage_and_a_dead_letter_in_the_end() -> None:
    settling, shard = Settling(had_success=True), a_shard(1, 1)
    call, _ = settling.fly(shard)
    settling.repairs.note_result()
    for _ in range(9):
        settling.succeed()
        call.start(settling.clock.now())
        settling.repairs.ask_anew(call, BROKEN)
        if settling.letters(shard):
            break
        assert again(settling) == [call]
    assert not settling.endings
    assert again(settling) == []


def test_answers_that_are_wrong_as_a_whole_are_no_rows_fault() -> None:
    settling, shard = Settling(had_success=True), a_shard(*[1] * WHOLE_IN_A_ROW)
    calls = settling.fly(shard)
    settling.repairs.note_result()
    for call in calls:
        assert not settling.endings
        settling.repairs.ask_anew(call, WHOLE)
    (ending,) = settling.endings
    assert ending.exit_code == 2
    assert settling.letters(shard) == []


def test_what_was_paid_for_in_vain_is_in_doubt_without_a_cost_of_its_own() -> None:
    settling, shard = Settling(had_success=True), a_shard(1)
    (call,) = settling.fly(shard)
    settling.repairs.ask_for_vectors(call)
    doubt = settling.taken(shard).doubt
    assert (doubt.requests, doubt.cost_picousd) == (1, 0)
    assert again(settling) == [call]
