"""What is leased: shards that a dead owner may have sent are admitted with that in doubt."""

from __future__ import annotations

from batcher.core.job.idempotency import KeyMaker
from batcher.core.kind import Shape
from batcher.core.money.expected_tokens import PromptAllowance
from batcher.core.progress import ShardEvent
from batcher.engine.requests.demand import Allowances, WorstCase
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.requests.output_limits import OutputLimits
from batcher.engine.running.leases import Admission
from tests.engine.calls import a_lease

PRICED = WorstCase(None, OutputLimits(5), Allowances(PromptAllowance(0)))


def admission() -> Admission:
    keys = IdempotencyKeys(KeyMaker(secret="s", job="j", parameters=[]))
    return Admission(Shape.JSON, lambda picousd: None, worst_case=PRICED, keys=keys)


def test_a_new_shard_owes_nothing() -> None:
    shard = admission().admit(a_lease(1, 1))
    checkpoint = shard.take_checkpoint(sent_through=0, released=False)
    assert (checkpoint.doubt.requests, checkpoint.event.doubts) == (0, {})


def test_what_the_last_owner_may_have_sent_is_in_doubt_first_of_all() -> None:
    """Three might be sent, and one of them has its result."""
    event = ShardEvent(fence=2, done=(0,))
    lease = a_lease(1, 2, 1, 1, events=[event], sent_fence=2, sent_through=3)
    shard = admission().admit(lease)
    checkpoint = shard.take_checkpoint(sent_through=0, released=False)
    doubt = checkpoint.doubt
    assert (doubt.requests, doubt.pieces) == (2, 3)
    assert doubt.tokens == (20 + 5) + (10 + 5), "the output is a request's, whatever it carries"
    assert sorted(checkpoint.event.doubts) == [1, 3], "kept for whoever gets an answer of theirs"
    assert [call.in_doubt.requests for call in shard.calls] == [1, 1, 0]
