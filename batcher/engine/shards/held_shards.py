"""The shards that a run holds: those it claimed that are neither finished nor somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from batcher.engine.shards.leased_shard import LeasedShard


class HeldShards:
    """Leased shards by id, in the order they were claimed."""

    def __init__(self, on_lost: Callable[[LeasedShard], None]) -> None:
        """``on_lost`` is told of a shard that proved to be somebody else's by now."""
        self._on_lost = on_lost
        self.by_id: dict[int, LeasedShard] = {}

    def __repr__(self) -> str:
        """How many there are."""
        return f"<HeldShards {len(self.by_id)}>"

    @property
    def all(self) -> Iterable[LeasedShard]:
        """The shards, in the order they were claimed."""
        return self.by_id.values()

    @property
    def are_dirty(self) -> bool:
        """Whether anything is recorded that is not committed."""
        return any(shard.dirty for shard in self.by_id.values())

    def lose(self, shard: LeasedShard) -> None:
        """The shard is somebody else's."""
        if not shard.lost:
            shard.lost = True
            self._on_lost(shard)

    def drop_lost(self) -> None:
        """Let go of what is somebody else's."""
        for shard in [shard for shard in self.by_id.values() if shard.lost]:
            self.drop(shard.id)

    def drop(self, shard_id: int) -> None:
        """Let go of one."""
        self.by_id.pop(shard_id).worklist.let_go()
