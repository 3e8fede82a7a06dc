"""What becomes of the pieces of one answer: each its own, whatever the others are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from batcher.core.kind import Broken, Invalid, Refused
from batcher.engine.settling.reading import KeptOutcome
from tests.engine.calls import a_shard
from tests.engine.settling.settling_parts import Settling

DONE = b'{"answer":"x"}'
REFUSED = Refused("content_filter", "no")
COMMON = Refused("length", "cut off", common=True)
BROKEN = Broken("missing", "nothing")
INVALID = Invalid("invalid_output", "not of its schema", "{")


@given(st.lists(st.sampled_from([DONE, REFUSED, BROKEN, INVALID, COMMON]), min_size=1, max_size=6))
async def test_each_piece_is_done_dead_or_asked_for_again(outcomes: list[KeptOutcome]) -> None:
    """Pieces of a broken answer go again together, invalid ones each alone."""
    settling, shard = Settling(had_success=True), a_shard(len(outcomes))
    (call,) = settling.fly(shard)
    await settling.outcomes.take(call, outcomes, settling.clock.now())
    checkpoint = settling.taken(shard)
    done = [piece for piece, one in enumerate(outcomes) if one is DONE]
    dead = [piece for piece, one in enumerate(outcomes) if isinstance(one, Refused)]
    broken = tuple(piece for piece, one in enumerate(outcomes) if one is BROKEN)
    invalid = [(piece,) for piece, one in enumerate(outcomes) if one is INVALID]
    assert list(checkpoint.event.done) == done
    assert sorted(checkpoint.event.dead) == dead
    assert sorted(waiting.pieces for waiting in settling.due()) == sorted(
        [*invalid, *([broken] if broken else [])]
    )
    assert checkpoint.finished == (len(done) + len(dead) == len(outcomes))


async def test_a_result_proves_that_the_provider_is_there() -> None:
    settling, shard = Settling(), a_shard(1)
    (call,) = settling.fly(shard)
    await settling.outcomes.take(call, [DONE], settling.clock.now())
    assert settling.state.has_answered
    assert settling.verdicts.had_success
    assert settling.repairs.had_result


async def test_a_refusal_that_everybody_may_meet_waits_for_the_first_success() -> None:
    settling, shard = Settling(), a_shard(1, 1)
    first, second = settling.fly(shard)
    await settling.outcomes.take(first, [COMMON], settling.clock.now())
    assert settling.verdicts.are_waiting
    assert settling.taken(shard).dead == ()
    await settling.outcomes.take(second, [DONE], settling.clock.now())
    assert [letter.code for letter in settling.taken(shard).dead] == ["length"]
