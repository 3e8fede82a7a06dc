"""Verdicts: nothing is written off before a success proves that the fault is a row's own."""

from __future__ import annotations

from batcher.core.failures.verdicts import Dead, Split
from batcher.core.kind import Invalid
from tests.engine.calls import a_shard
from tests.engine.settling.failing.parts import KEY, Failing

REJECTED = Dead("rejected", f"the text is bad, says {KEY}")


def test_a_row_is_held_until_another_request_succeeds() -> None:
    failing, shard = Failing(), a_shard(1, 1)
    first, second = failing.fly(shard)
    failing.verdicts.reject(first, REJECTED)
    assert failing.verdicts.are_waiting
    assert failing.letters(shard) == []
    failing.succeed()
    ((row, code, message),) = failing.letters(shard)
    assert (row, code) == (100, "rejected")
    assert KEY not in message
    failing.verdicts.reject(second, REJECTED)
    assert [row for row, *_ in failing.letters(shard)] == [101]
    assert not failing.endings


def test_ten_rows_rejected_alike_before_any_success_stop_the_run_and_fail_no_row() -> None:
    failing, shard = Failing(), a_shard(*[1] * 10)
    for call in failing.fly(shard):
        assert not failing.endings
        failing.verdicts.reject(call, REJECTED)
    assert len(failing.endings) == 1
    assert failing.letters(shard) == []


def test_what_is_too_large_is_sent_in_halves_and_a_single_piece_is_rejected() -> None:
    failing, shard = Failing(had_success=True), a_shard(4)
    (call,) = failing.fly(shard)
    failing.verdicts.split(call, Split("too_large", "too large"))
    halves = list(failing.queue.waiting())
    assert sorted(half.pieces for half in halves) == [(0, 1), (2, 3)]
    assert {half.after_flush for half in halves} == {failing.writer.promise()}
    assert shard.take_checkpoint(sent_through=1, released=False).event.cuts == (2,)
    (piece,) = failing.fly(a_shard(1, shard_id=2))
    failing.verdicts.split(piece, Split("too_large", "too large"))
    assert [code for _, code, _ in failing.letters(piece.shard)] == ["too_large"]


def test_what_is_invalid_is_held_until_any_answer_gives_a_result() -> None:
    failing, shard = Failing(), a_shard(1)
    (call,) = failing.fly(shard)
    failing.verdicts.hold_invalid(call, Invalid("invalid_label", "no label", "?"))
    failing.succeed()
    assert failing.letters(shard) == [], "an answer without a result proves nothing of it"
    failing.verdicts.learn_of_result()
    assert [code for _, code, _ in failing.letters(shard)] == ["invalid_label"]
    assert not failing.verdicts.are_waiting


def test_where_nothing_else_is_left_what_is_held_is_given_up() -> None:
    failing, shard = Failing(), a_shard(1, 1)
    rejected, spent = failing.fly(shard)
    failing.verdicts.reject(rejected, REJECTED)
    assert failing.verdicts.hold_spent(spent, Dead("timeout", "no answer"))
    failing.verdicts.give_up_all()
    assert sorted(code for _, code, _ in failing.letters(shard)) == ["rejected", "timeout"]
    assert not failing.verdicts.are_waiting
