"""A planned shard on its way into the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batcher.core.model import DeadLetter


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPlan:
    """A shard's plan as it is kept, in parts that are read apart.

    ``outline`` and ``prompts`` are opaque to the store (:mod:`batcher.engine.shards.payload`): only
    who sends reads the prompts. ``contents`` and ``ids`` are for the store to search: the rows'
    content hashes (:data:`batcher.core.job.fingerprint.CONTENT_BYTES` each, zeros for a row without
    one) and the hashes of their ids (:data:`batcher.core.job.fingerprint.ID_BYTES` each), one after
    the other; None where there are none, and ``ids`` where the rows' numbers are their ids.
    """

    outline: bytes = field(repr=False)
    prompts: bytes = field(repr=False)
    contents: bytes | None = field(default=None, repr=False)
    ids: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """Results that a shard begins with, brought over from elsewhere: nothing was sent for them.

    ``pieces`` have one each, in the order of the blob ``results`` (opaque to the store); ``rows``
    is how many rows they make whole.
    """

    pieces: tuple[int, ...]
    rows: int
    results: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewShard:
    """A planned shard, as it is written once.

    ``columns`` are opaque to the store (:mod:`batcher.engine.shards.payload`). ``rows_changed`` and
    ``rows_failed_before`` are counted as :class:`batcher.core.model.Tally` says.
    """

    ordinal: int
    first_row: int
    rows: int
    pieces: int
    requests: int
    plan: EncodedPlan
    columns: bytes | None = field(repr=False)
    dead: Sequence[DeadLetter] = ()
    carried: Carried | None = None
    rows_changed: int = 0
    rows_failed_before: int = 0

    @property
    def size_bytes(self) -> int:
        """What its requests and its columns take, as they are kept."""
        return len(self.plan.outline) + len(self.plan.prompts) + len(self.columns or b"")
