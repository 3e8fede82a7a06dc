"""What the store in memory holds: jobs, and their shards with plan, lease and checkpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from batcher.adapters.store.settlement import NO_FENCE, NO_SEQ, CheckpointState
from batcher.core.model import DeadLetter, Doubt, FailureCount, Job, Tally, Usage
from batcher.core.progress import ShardEvent, in_force, replay
from batcher.ports import Lease, NewShard, ShardOutline, StoredShard

_UNTOUCHED = CheckpointState(
    fence=NO_FENCE, seq=NO_SEQ, reserved_picousd=0, sent_fence=0, sent_through=0
)


@dataclass(slots=True, kw_only=True)
class Shard:
    """One shard, as its row, its plan and its checkpoints are in SQL."""

    id: int
    plan: NewShard
    open: bool = True
    owner: str | None = None
    expires_at: float | None = None
    checkpoint_state: CheckpointState = _UNTOUCHED
    usage: Usage = field(default_factory=Usage)
    doubt: Doubt = field(default_factory=Doubt)
    rows_done: int = 0
    pieces_done: int = 0
    checkpoints: list[tuple[ShardEvent, bytes]] = field(default_factory=list)
    bills: list[bytes] = field(default_factory=list)

    @classmethod
    def of(cls, plan: NewShard, shard_id: int) -> Shard:
        """A shard that was planned just now, with what it carries over."""
        carried = plan.carried
        if carried is None:
            return cls(id=shard_id, plan=plan)
        event = ShardEvent(fence=NO_FENCE, done=carried.pieces)
        return cls(
            id=shard_id,
            plan=plan,
            open=len(carried.pieces) != plan.pieces,
            rows_done=carried.rows,
            pieces_done=len(carried.pieces),
            checkpoints=[(event, bytes(carried.results))],
        )

    def committed_picousd(self) -> int:
        """What it has spent, may have spent, or may spend."""
        return (
            self.usage.cost_picousd
            + self.doubt.cost_picousd
            + self.checkpoint_state.reserved_picousd
        )

    def grant(self, owner: str, expires_at: float, *, contents: bool = False) -> Lease:
        """Lease it under the next fence."""
        last = self.checkpoint_state
        self.checkpoint_state = replace(last, fence=last.fence + 1, seq=NO_SEQ)
        self.owner = owner
        self.expires_at = expires_at
        return Lease(
            shard_id=self.id,
            ordinal=self.plan.ordinal,
            fence=last.fence + 1,
            expires_at=expires_at,
            outline=self.plan.plan.outline,
            prompts=self.plan.plan.prompts,
            events=tuple(event for event, _ in self.checkpoints),
            sent_fence=last.sent_fence,
            sent_through=last.sent_through,
            contents=self.plan.plan.contents if contents else None,
        )

    def reopen(self, pieces: Iterable[int]) -> None:
        """Open it, with an event that names the pieces, under a new fence."""
        fence = self.checkpoint_state.fence + 1
        self.checkpoint_state = replace(self.checkpoint_state, fence=fence, seq=0)
        event = ShardEvent(fence=fence, reopened=tuple(sorted(pieces)))
        self.checkpoints.append((event, b""))
        self.open = True
        self.owner = self.expires_at = None

    def stored(self, dead_rows: frozenset[int]) -> StoredShard:
        """It as the export reads it."""
        return StoredShard(
            ordinal=self.plan.ordinal,
            first_row=self.plan.first_row,
            rows=self.plan.rows,
            outline=self.plan.plan.outline,
            columns=self.plan.columns,
            results=in_force(self.checkpoints),
            bills=tuple(self.bills),
            dead_rows=dead_rows,
        )

    def outline(self, dead_rows: frozenset[int]) -> ShardOutline:
        """It without its results."""
        return ShardOutline(
            ordinal=self.plan.ordinal,
            first_row=self.plan.first_row,
            rows=self.plan.rows,
            outline=self.plan.plan.outline,
            contents=self.plan.plan.contents,
            done=frozenset(replay(event for event, _ in self.checkpoints).done),
            dead_rows=dead_rows,
        )


@dataclass(slots=True, kw_only=True)
class Entry:
    """One job with its shards, by id, and its dead letters, by (row, chunk)."""

    job: Job
    plan_fence: int = 0
    plan_owner: str | None = None
    plan_expires_at: float | None = None
    shards: dict[int, Shard] = field(default_factory=dict)
    dead: dict[tuple[int, int], tuple[DeadLetter, int, int]] = field(default_factory=dict)

    def bury(self, letters: Iterable[tuple[DeadLetter, int]], shard_id: int) -> None:
        for letter, piece in letters:
            self.dead[letter.row, letter.chunk] = (letter, shard_id, piece)

    def by_ordinal(self) -> list[Shard]:
        return sorted(self.shards.values(), key=lambda shard: shard.plan.ordinal)

    def from_row(self, row: int) -> list[Shard]:
        """Its shards with rows from that number on."""
        return [s for s in self.by_ordinal() if s.plan.first_row + s.plan.rows > row]

    def with_id(self, id_hash: bytes) -> list[int]:
        """The ordinals of the shards with that hash among those of their ids."""
        return [s.plan.ordinal for s in self.by_ordinal() if id_hash in (s.plan.plan.ids or b"")]

    def dead_rows(self, shard_id: int) -> frozenset[int]:
        return frozenset(row for (row, _), (_, of, _) in self.dead.items() if of == shard_id)

    def failures(self) -> list[FailureCount]:
        """Its dead letters by code, as :meth:`batcher.ports.ShardStore.failures` has them."""
        counted = Counter((letter.code, letter.final) for letter, _, _ in self.dead.values())
        found = [
            FailureCount(code=code, final=final, dead_letters=letters)
            for (code, final), letters in counted.items()
        ]
        return sorted(found, key=lambda one: (-one.dead_letters, one.code, one.final))

    def tally(self) -> Tally:
        """How far it is."""
        shards = self.shards.values()
        return Tally(
            rows_planned=sum(shard.plan.rows for shard in shards),
            rows_done=sum(shard.rows_done for shard in shards),
            rows_failed=len({row for row, _ in self.dead}),
            pieces=sum(shard.plan.pieces for shard in shards),
            pieces_done=sum(shard.pieces_done for shard in shards),
            rows_carried=sum(s.plan.carried.rows for s in shards if s.plan.carried is not None),
            rows_changed=sum(shard.plan.rows_changed for shard in shards),
            rows_failed_before=sum(shard.plan.rows_failed_before for shard in shards),
            usage=sum((shard.usage for shard in shards), Usage()),
            doubt=sum((shard.doubt for shard in shards), Doubt()),
        )
