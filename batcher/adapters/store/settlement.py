"""What a checkpoint does to its shard and to its job's money.

Decided here, without I/O, and carried out by each store: which checkpoints are new, which came
twice, which bear a fence that is no longer valid, and whether the budget bears the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batcher.ports import BudgetShort

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from batcher.ports import Checkpoint

NO_SEQ = -1
"""The ``seq`` of a lease that has no checkpoint yet: the first may bear any number from 0."""

NO_FENCE = 0
"""The fence of a shard that was never leased: what is carried over bears it."""

PLANNED = -1
"""The piece of a dead letter that planning made: it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointState:
    """What a shard's row says that a checkpoint depends on, and what it says afterwards."""

    fence: int
    seq: int
    reserved_picousd: int
    sent_fence: int
    sent_through: int

    def after(self, checkpoint: Checkpoint) -> CheckpointState:
        """The standing once ``checkpoint`` has been applied; a clean end leaves nothing sent."""
        ended = checkpoint.finished or checkpoint.released
        return CheckpointState(
            fence=self.fence,
            seq=checkpoint.seq,
            reserved_picousd=checkpoint.reserved_picousd,
            sent_fence=checkpoint.fence,
            sent_through=0 if ended else checkpoint.sent_through,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobBudget:
    """A job's budget and what is committed of it: spent, in doubt or reserved."""

    budget_picousd: int
    committed_picousd: int

    @property
    def available_picousd(self) -> int:
        """What is left; below 0 after a doubt that exceeded its reservation."""
        return self.budget_picousd - self.committed_picousd


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a batch comes to: the checkpoints to write, each with its shard's new standing.

    ``asking``: it must be refused where less than ``delta_picousd`` is left when it is committed.
    """

    fresh: tuple[tuple[Checkpoint, CheckpointState], ...]
    stale: frozenset[int]
    delta_picousd: int
    asking: bool


def settle(
    checkpoints: Sequence[Checkpoint],
    checkpoint_states: Mapping[int, CheckpointState],
    job_budget: JobBudget | None,
) -> Settlement:
    """Sort out a batch, in its order, and hold it against the budget.

    Args:
        checkpoints: the batch; several of one shard follow each other.
        checkpoint_states: of the shards that exist; a shard that does not is stale.
        job_budget: None where the job has no budget.

    Raises:
        BudgetShort: a checkpoint asks for money (see :func:`asks`), and with the whole batch more
            would be committed than before and more than the budget.
    """
    current = dict(checkpoint_states)
    fresh: list[tuple[Checkpoint, CheckpointState]] = []
    stale: set[int] = set()
    delta = 0
    asking = False
    for checkpoint in checkpoints:
        old = current.get(checkpoint.shard_id)
        if old is None or old.fence != checkpoint.fence:
            stale.add(checkpoint.shard_id)
            continue
        if checkpoint.seq <= old.seq:
            continue
        asking = asking or asks(old, checkpoint)
        delta += settled_picousd(checkpoint) + checkpoint.reserved_picousd - old.reserved_picousd
        current[checkpoint.shard_id] = new = old.after(checkpoint)
        fresh.append((checkpoint, new))
    asking = asking and delta > 0
    if job_budget is not None and asking and delta > job_budget.available_picousd:
        raise BudgetShort(job_budget.available_picousd)
    return Settlement(
        fresh=tuple(fresh), stale=frozenset(stale), delta_picousd=delta, asking=asking
    )


def settled_picousd(checkpoint: Checkpoint) -> int:
    """What a checkpoint says was spent, for certain or possibly."""
    return checkpoint.usage.cost_picousd + checkpoint.doubt.cost_picousd


def asks(old: CheckpointState, new: Checkpoint) -> bool:
    """Whether a checkpoint asks for money, and does not only account for what is spent already.

    It does not where its reservation is covered by what is left of the old one, nor where it
    allows no request more than before and reserves no more: an answer that cost more than its
    worst case is a result all the same.
    """
    if new.reserved_picousd <= max(0, old.reserved_picousd - settled_picousd(new)):
        return False
    allowed = old.sent_through if old.sent_fence == new.fence else 0
    return new.sent_through > allowed or new.reserved_picousd > old.reserved_picousd
