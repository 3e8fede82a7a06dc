"""What is done of a shard, as a fold over the events of its checkpoints.

A shard's planned requests are consecutive runs of pieces. Every lease works through a list of
units: the missing pieces of each planned request, cut where a bisection has cut it. The list is a
pure function of the plan and of the events of earlier fences, so a new owner can rebuild both its
own list and the list of the owner that died, and say what that one may have sent without result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple, TypeAlias

Amounts: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardEvent:
    """What one checkpoint says of its shard's pieces (numbers within the shard, from 0).

    ``done`` have results in this checkpoint, in the order of its blob; ``dead`` have dead letters;
    ``reopened`` lost theirs: a dead letter to a retry, a result because it turned out to be none;
    ``attempts`` are failed attempts so far; ``cuts`` are pieces that begin a new unit.
    ``unproven`` is the length of this checkpoint's vectors where no second answer has confirmed it
    yet: they may be taken back. ``doubts`` are by the first piece of a request what was sent of it
    and not answered, as of now: requests, pieces, tokens and picodollars.
    """

    fence: int
    done: tuple[int, ...] = ()
    dead: tuple[int, ...] = ()
    reopened: tuple[int, ...] = ()
    attempts: Mapping[int, int] = field(default_factory=dict)
    cuts: tuple[int, ...] = ()
    unproven: int | None = None
    doubts: Mapping[int, Amounts] = field(default_factory=dict)


class Unit(NamedTuple):
    """Pieces to be asked for in one call: a planned request, or what a failure left of one.

    ``failed_before`` are those that had a dead letter before, all of them: others succeeded then.
    ``reopened`` is how often what came for them was thrown away; ``doubt`` what was sent of just
    these pieces and not answered.
    """

    pieces: tuple[int, ...]
    attempts: int = 0
    failed_before: bool = False
    reopened: int = 0
    doubt: Amounts | None = None


@dataclass(slots=True, kw_only=True)
class ShardProgress:
    """The state of a shard's pieces after some events; ``retried`` ones were dead before.

    ``reopened`` counts how often a piece was.
    """

    done: set[int] = field(default_factory=set)
    dead: set[int] = field(default_factory=set)
    attempts: dict[int, int] = field(default_factory=dict)
    cuts: set[int] = field(default_factory=set)
    retried: set[int] = field(default_factory=set)
    reopened: dict[int, int] = field(default_factory=dict)
    doubts: dict[int, Amounts] = field(default_factory=dict)

    def apply(self, event: ShardEvent) -> None:
        """Take in one event; events are applied in the order of (fence, seq)."""
        self.retried.update(self.dead.intersection(event.reopened))
        self.dead.difference_update(event.reopened)
        self.done.difference_update(event.reopened)
        for piece in event.reopened:
            self.attempts.pop(piece, None)
            self.reopened[piece] = self.reopened.get(piece, 0) + 1
        self.doubts.update(event.doubts)
        self.done.update(event.done)
        self.dead.update(event.dead)
        self.cuts.update(event.cuts)
        self.attempts.update(event.attempts)


def replay(events: Iterable[ShardEvent], *, before_fence: int | None = None) -> ShardProgress:
    """The progress after all events, or after those of fences below ``before_fence``."""
    progress = ShardProgress()
    for event in events:
        if before_fence is None or event.fence < before_fence:
            progress.apply(event)
    return progress


def in_force(
    checkpoints: Iterable[tuple[ShardEvent, bytes]],
) -> tuple[tuple[tuple[int, ...], bytes], ...]:
    """The results that count, in order: pieces and their blob.

    A blob is left out once all its pieces were reopened; what is taken back is taken back whole.
    """
    counting: list[tuple[tuple[int, ...], bytes]] = []
    for event, blob in checkpoints:
        if event.reopened:
            reopened = set(event.reopened)
            counting = [pair for pair in counting if not reopened.issuperset(pair[0])]
        if event.done:
            counting.append((event.done, blob))
    return tuple(counting)


def unproven(events: Iterable[ShardEvent]) -> dict[int, int]:
    """The pieces whose vectors may be taken back, with the length of those."""
    lengths: dict[int, int] = {}
    for event in events:
        for piece in event.reopened:
            lengths.pop(piece, None)
        if event.unproven is not None:
            lengths.update(dict.fromkeys(event.done, event.unproven))
    return lengths


def worklist(starts: Sequence[int], pieces: int, progress: ShardProgress) -> list[Unit]:
    """The units still to be asked for, in the planned order.

    Args:
        starts: the first piece of each planned request, ascending, beginning with 0.
        pieces: how many pieces the shard has.
        progress: what is settled already.
    """
    bounds = sorted({*starts, *progress.cuts, pieces})
    settled, attempts = progress.done | progress.dead, progress.attempts
    units = []
    for first, last in pairwise(bounds):
        planned = range(first, last)
        missing = tuple([p for p in planned if p not in settled] if settled else planned)
        if missing:
            tried = max([attempts.get(piece, 0) for piece in missing]) if attempts else 0
            units.append(
                Unit(
                    missing,
                    tried,
                    progress.retried.issuperset(missing),
                    _times_reopened(missing, progress),
                    _doubt_of(missing, progress),
                )
            )
    return units


def _times_reopened(pieces: Sequence[int], progress: ShardProgress) -> int:
    reopened = progress.reopened
    return max([reopened.get(piece, 0) for piece in pieces]) if reopened else 0


def _doubt_of(pieces: Sequence[int], progress: ShardProgress) -> Amounts | None:
    """What is in doubt of a request with these very pieces: that of another is another's."""
    doubt = progress.doubts.get(pieces[0]) if progress.doubts else None
    if doubt is None or not doubt[0] or doubt[1] != doubt[0] * len(pieces):
        return None
    return doubt


def unsettled(
    starts: Sequence[int],
    pieces: int,
    events: Sequence[ShardEvent],
    *,
    sent_fence: int,
    sent_through: int,
) -> list[Unit]:
    """What the lease ``sent_fence`` may have sent and nobody has a result for.

    ``sent_through`` is how many units of that lease's worklist it was allowed to send.
    """
    if sent_through <= 0:
        return []
    allowed = worklist(starts, pieces, replay(events, before_fence=sent_fence))[:sent_through]
    now = replay(events)
    return [part for unit in allowed for part in _parts(unit, now)]


def _parts(unit: Unit, progress: ShardProgress) -> list[Unit]:
    """What is missing of a unit, in the parts that it has been cut into since."""
    parts: list[list[int]] = [[]]
    for piece in unit.pieces:
        if piece in progress.cuts:
            parts.append([])
        if piece not in progress.done and piece not in progress.dead:
            parts[-1].append(piece)
    return [Unit(pieces=tuple(part), attempts=unit.attempts) for part in parts if part]
