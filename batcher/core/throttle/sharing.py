"""Who may reserve next: jobs share a quota by weight, and the workers of one job share its part.

Decides how far into the future a flow may reserve, from who else asks. What is shared is time: a
grant moves the last send time on by some seconds, whichever of requests and tokens is scarcer, and
these seconds are what a flow has used. Knows no limits, no costs, no requests.

Every flow has a tag, the time that it used over its weight. The shared tag is where a flow would be
that always got its part. A flow may be ahead of that by a horizon's worth, so in each horizon it
gets its weight's part of it, and no two flows that both want more come apart further. One that is
ahead may still have what nobody else takes (see :meth:`Turn.reach`). Alone, all of this is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

HORIZON_SECONDS = 2.0
"""How far into the future tickets are granted."""
LEND_SECONDS = 0.75
"""A flow that has had its part may reserve so far ahead, if nobody else has: little enough that
another, which has not, hardly waits for it."""
LEAD_SECONDS = 0.25
"""How long before the next possible send a pump is called back."""
RENEW_SECONDS = 1.0
"""How long before its part of the horizon is used up a flow is called back to renew it."""
GRACE_SECONDS = 0.5
"""How late a flow that wants more may come back before it no longer counts."""
WEIGHTS: Mapping[str, float] = {"high": 4.0, "normal": 2.0, "low": 1.0}
"""Each step doubles the part, and beside one job of high priority a low one keeps a fifth."""


class Flow(NamedTuple):
    """One asker: a job with its weight, and which of the job's workers it is."""

    job: str
    weight: float = WEIGHTS["normal"]
    worker: str = ""


ANYBODY = Flow("")
"""Who does not say who it is."""


@dataclass(slots=True)
class Member:
    """A flow that counts until a time, whether it ``wants`` more than it was given, and its tag."""

    tag: float
    until: float
    wants: bool = False


@dataclass(slots=True)
class Turn:
    """One flow's right to reserve among others, during one call.

    ``now`` and ``base`` are times, ``limit`` is the tag up to which the flow has its part, and
    ``shared`` and ``total`` the shared tag and all weights.
    """

    member: Member
    now: float
    weight: float
    shared: float
    total: float
    limit: float

    @property
    def is_due(self) -> bool:
        """Whether the flow has not had its part of the horizon."""
        return self.member.tag < self.limit

    def reach(self) -> float:
        """The time beyond which the flow begins nothing.

        A cost of any size may begin before it: one that takes longer than the horizon would never
        find a gap among small ones.
        """
        return self.now + (HORIZON_SECONDS if self.is_due else LEND_SECONDS)

    def charge(self, seconds: float) -> None:
        """The flow has used some seconds; what was lent is not held against it for long."""
        tag = min(self.member.tag, self.limit) + seconds / self.weight
        self.member.tag = max(self.member.tag, tag)

    def come_back_at(self, base: float) -> float:
        """When there may be more for the flow, if all up to ``base`` is reserved."""
        if self.is_due:
            return base - HORIZON_SECONDS / 2
        renewed = self.now + (self.member.tag - self.shared) * self.total - RENEW_SECONDS
        return min(renewed, base - LEAD_SECONDS, self.now + HORIZON_SECONDS)


@dataclass(slots=True, kw_only=True)
class Sharing:
    """The flows that ask for one quota, and how far each has come.

    ``shared`` is the shared tag as of ``shared_at``.
    """

    members: dict[Flow, Member] = field(default_factory=dict)
    shared: float = 0.0
    shared_at: float = 0.0

    def enter(self, now: float, flow: Flow, ahead: float) -> Turn | None:
        """A flow asks, while ``ahead`` seconds are reserved already; None where it is alone."""
        members = self.members
        if flow not in members or len(members) > 1:
            self._drop_silent(now, flow)
            self._move_on(now)
            if flow not in members:
                if len(members) == 1:  # all that is reserved is the other one's
                    ((other, sole),) = members.items()
                    sole.tag = self.shared + max(0.0, ahead) / other.weight
                members[flow] = Member(tag=self.shared, until=now)
        if len(members) == 1:
            return None
        member = members[flow]
        member.tag = max(member.tag, self.shared)
        total = self._total()
        others = min(other.tag for f, other in members.items() if f != flow)
        return Turn(
            member=member,
            now=now,
            weight=self._weight(flow),
            shared=self.shared,
            total=total,
            limit=max(self.shared, others) + HORIZON_SECONDS / total,
        )

    def leave(self, flow: Flow, until: float, *, wants: bool) -> None:
        """The flow counts until a time; ``wants`` says that it will come back for more."""
        member = self.members[flow]
        member.until, member.wants = until, wants

    def _drop_silent(self, now: float, flow: Flow) -> None:
        """Those that asked no more do not count, whoever asks now does."""
        silent = [f for f, member in self.members.items() if member.until < now and f != flow]
        for f in silent:
            del self.members[f]

    def _move_on(self, now: float) -> None:
        """Move the shared tag with the time, but not past anyone who wants more.

        It follows where all are far ahead: what they used cost no time, nobody had to wait for it.
        """
        if len(self.members) > 1:
            total = self._total()
            self.shared += max(0.0, now - self.shared_at) / total
            least = min(member.tag for member in self.members.values())
            self.shared = max(self.shared, least - HORIZON_SECONDS / total)
            for member in self.members.values():
                if member.wants and member.tag < self.shared:
                    self.shared = member.tag
        self.shared_at = max(self.shared_at, now)

    def _weight(self, flow: Flow) -> float:
        """A flow's own weight: its job's, divided among the job's workers."""
        return flow.weight / sum(other.job == flow.job for other in self.members)

    def _total(self) -> float:
        return sum(self._weight(flow) for flow in self.members)
