"""The shards that a run holds: claimed, owned up for, renewed, lost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from batcher.core.kind import Shape
from batcher.engine.requests.demand import WorstCase
from batcher.engine.requests.idempotency_keys import IdempotencyKeys
from batcher.engine.routes.call_queue import CallQueue
from batcher.engine.settling.vector_length import VectorLength
from batcher.engine.shards.call import Call
from batcher.engine.shards.checkpoint_writer import CheckpointWriter
from batcher.engine.shards.leased_shard import LeasedShard
from batcher.ports import Clock, Lease, LeaseStore


class Claims:
    """One owner's right to one job's shards, as the store grants it."""

    def __init__(
        self,
        store: LeaseStore,
        job_id: str,
        owner: str,
        seconds: float,
        *,
        contents: bool = False,
    ) -> None:
        """``seconds`` is how long a lease holds unless it is renewed.

        ``contents``: leases have their rows' content hashes, for whoever keeps answers.
        """
        self._store = store
        self._job_id = job_id
        self._owner = owner
        self._contents = contents
        self.seconds = seconds

    async def claim(
        self, limit: int, *, expired_only: bool, exclude: Collection[int]
    ) -> Sequence[Lease]:
        """Lease up to so many shards, or such as a dead owner held.

        ``exclude``: shards that the caller already holds. It must renew them, not claim them again.
        """
        return await self._store.claim(
            self._job_id,
            self._owner,
            limit=limit,
            ttl_seconds=self.seconds,
            expired_only=expired_only,
            exclude=list(exclude),
            contents=self._contents,
        )

    async def renew(self, shard_ids: Collection[int]) -> Collection[int]:
        """Hold the shards for longer; returns those that somebody else has claimed."""
        ids = list(shard_ids)
        held = await self._store.renew(self._owner, ids, self.seconds) if ids else set()
        return set(ids) - held


class Admission:
    """Makes leased shards of leases, and says what their last owners may have had billed."""

    def __init__(
        self,
        shape: Shape,
        pay: Callable[[int], None],
        *,
        worst_case: WorstCase,
        keys: IdempotencyKeys,
    ) -> None:
        """``pay`` is told what is recorded as spent, or possibly spent, in picodollars."""
        self._shape = shape
        self._pay = pay
        self._worst_case = worst_case
        self._keys = keys

    def admit(self, lease: Lease) -> LeasedShard:
        """The shard, with what was left behind in doubt first of all."""
        shard = LeasedShard(
            lease, self._shape, self._pay, fixed_tokens=self._worst_case.fixed_tokens
        )
        left_behind = shard.left_behind(lease)
        again = {call.pieces: call for call in shard.calls} if left_behind else {}
        for unit in left_behind:
            doubt = self._worst_case.doubt(Call(shard, unit.pieces, -1))
            shard.record_doubt(doubt)
            if (call := again.get(unit.pieces)) is not None:
                self._keys.doubt(call, doubt)
        return shard


class Leases:
    """The leases of one run."""

    def __init__(
        self,
        claims: Claims,
        admission: Admission,
        checkpoint_writer: CheckpointWriter,
        *,
        queue: CallQueue,
        vectors: VectorLength,
        clock: Clock,
    ) -> None:
        self._claims = claims
        self._admission = admission
        self._checkpoint_writer = checkpoint_writer
        self._queue = queue
        self._vectors = vectors
        self._clock = clock

    async def claim(self, limit: int, *, expired_only: bool = False) -> Sequence[Lease]:
        """Lease up to so many shards, or such as a dead owner held, and queue their calls."""
        held = [shard.id for shard in self._checkpoint_writer.shards]
        leases = await self._claims.claim(limit, expired_only=expired_only, exclude=held)
        for lease in leases:
            shard = self._admission.admit(lease)
            self._checkpoint_writer.add(shard)
            self._queue.add(shard)
            self._vectors.take(shard)
        return leases

    async def take_over(self) -> bool:
        """Claim a shard that a dead owner held; whether there was one."""
        return bool(await self.claim(1, expired_only=True))

    async def renew(self) -> None:
        """Extend them at a third of their time, for ever; let go of what others have claimed."""
        while True:
            await self._clock.sleep(self._claims.seconds / 3)
            lost = await self._claims.renew([shard.id for shard in self._checkpoint_writer.shards])
            for shard in self._checkpoint_writer.shards:
                if shard.id in lost:
                    self._checkpoint_writer.lose(shard)
            self._queue.wake()
