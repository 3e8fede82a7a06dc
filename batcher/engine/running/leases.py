"""The shards that a run holds: claimed, owned up for, renewed, lost."""

from __future__ import annotations

from batcher.core.kind import Shape
from batcher.engine.budget.run_budget import RunBudget
from batcher.engine.requests.builder import RequestBuilder
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import Clock, Lease, Store


class Leases:
    """One owner's leases on one job's shards."""

    def __init__(
        self,
        job_id: str,
        owner: str,
        *,
        seconds: float,
        shape: Shape,
        store: Store,
        clock: Clock,
        requests: RequestBuilder,
        run_budget: RunBudget,
        checkpoint_writer: CheckpointWriter,
        queue: CallQueue,
        vectors: VectorLength,
    ) -> None:
        """``seconds`` is how long a lease holds unless it is renewed."""
        self._job_id = job_id
        self._owner = owner
        self._seconds = seconds
        self._shape = shape
        self._store = store
        self._clock = clock
        self._requests = requests
        self._run_budget = run_budget
        self._checkpoint_writer = checkpoint_writer
        self._queue = queue
        self._vectors = vectors

    async def claim(self, limit: int, *, expired_only: bool = False) -> list[Lease]:
        """Lease up to so many shards, or such as a dead owner held, and queue their calls."""
        leases = await self._store.claim(
            self._job_id,
            self._owner,
            limit=limit,
            ttl_seconds=self._seconds,
            expired_only=expired_only,
            exclude=[shard.id for shard in self._checkpoint_writer.shards],
        )
        for lease in leases:
            self._take(lease)
        return leases

    async def take_over(self) -> bool:
        """Claim a shard that a dead owner held; whether there was one."""
        return bool(await self.claim(1, expired_only=True))

    async def renew(self) -> None:
        """Extend them at a third of their time, for ever; let go of what others have claimed."""
        while True:
            await self._clock.sleep(self._seconds / 3)
            ids = [shard.id for shard in self._checkpoint_writer.shards]
            held = await self._store.renew(self._owner, ids, self._seconds) if ids else set()
            for shard in self._checkpoint_writer.shards:
                if shard.id in set(ids) - held:
                    self._checkpoint_writer.lose(shard)
            self._queue.wake()

    def _take(self, lease: Lease) -> None:
        """Begin with a shard: first of all say what its last owner may have had billed."""
        shard = LeasedShard(
            lease,
            self._shape,
            self._run_budget.pay,
            fixed_tokens=self._requests.fixed_tokens,
        )
        again = {call.pieces: call for call in shard.calls} if shard.left_behind else {}
        for unit in shard.left_behind:
            left = Call(shard, unit.pieces, -1)
            doubt = self._requests.doubt(left, left.pieces)
            shard.record_doubt(doubt)
            if (call := again.get(unit.pieces)) is not None:
                self._requests.keys.doubt(call, doubt)
        self._checkpoint_writer.add(shard)
        self._queue.add(shard)
        self._vectors.take(shard)
