"""A lease's worklist: its calls, how far they were sent, and how far they may be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from batcher.engine.shards.call import Call


class Worklist:
    """The calls of one lease, in their order.

    ``next_unit`` is the first that was not sent yet; those before ``sent_through`` may be sent, as
    a checkpoint says, and ``reserved_picousd`` is what it reserved for them. ``divided`` are the
    units whose pieces do not go in one request any more.
    """

    __slots__ = ("calls", "divided", "next_unit", "reserved_picousd", "sent_through")

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls
        self.next_unit = 0
        self.sent_through = 0
        self.reserved_picousd = 0
        self.divided: set[int] = set()

    def __repr__(self) -> str:
        """How far it was sent."""
        return f"<Worklist {self.next_unit} of {len(self.calls)} sent, {self.sent_through} allowed>"

    @property
    def unsent(self) -> int:
        """How many units were not sent yet."""
        return len(self.calls) - self.next_unit

    @property
    def unused(self) -> int:
        """How many units may be sent and were not yet."""
        return self.sent_through - self.next_unit

    @property
    def wants_more(self) -> bool:
        """Whether there are units that may not be sent yet."""
        return self.sent_through < len(self.calls)

    def reserved(
        self,
        sent_through: int,
        worst_case: Callable[[Call, Sequence[int]], int],
        unsettled: Sequence[int],
    ) -> int:
        """What the ``unsettled`` pieces of the first units may cost at the worst, in picodollars.

        ``worst_case`` gives it for some pieces of a call.
        """
        reserved = 0
        for call in self.calls[:sent_through]:
            if pieces := [piece for piece in call.pieces if unsettled[piece]]:
                reserved += worst_case(call, pieces)
        return reserved

    def let_go(self) -> None:
        """The lease has ended: drop the calls, since they and the shard would keep each other."""
        self.calls = []
