"""Whether failures are a request's own or everybody's.

A quota that had no success for 30 s while requests fail in ways that may pass is in an outage: no
attempt counts, one probe at a time goes out, with backoff, and after a limit the job pauses. So an
outage fails no row, and a row that fails while others succeed does not look like an outage.

Where distinct requests are refused alike and none succeeds between them, everybody may be refused:
one probe at a time goes out then, too, and after a few of them nothing better is to be expected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

OUTAGE_AFTER_SECONDS = 30.0
ALIKE = 10
"""So many distinct requests that are refused alike make a doubt about all."""
ALIKE_UNSIGNED = 3
"""The same where a key is refused: that is nearly never a row's own."""
ALIKE_NAMED = 3
"""The same where the model or the address is refused and nothing succeeds any more."""
PROBES = 3
"""So many probes that fail alike remove the doubt."""
PROBES_AMONG_OTHERS = 20
"""The same where others have succeeded and no cause is named: in files, like stands by like."""

_MOST_DOUBLED = 3


class Span(NamedTuple):
    """Which pieces a request is for: those of a shard, from the first to the last."""

    shard: int
    first: int
    last: int

    def holds(self, other: Span) -> bool:
        """Whether the other is for none but pieces of this one."""
        return self.shard == other.shard and self.first <= other.first and other.last <= self.last


@dataclass(slots=True, kw_only=True)
class Health:
    """What one quota's answers say; all times are on one clock, passed in.

    ``last_success`` is None before the first; ``last_failure`` is what the latest failure was
    that may pass, ``last_limit`` what the latest 429 said; ``proof`` is when the latest request
    that succeeded was sent: what is still answered in an outage was sent before it, and proves
    nothing. ``doubted`` says that everybody may be refused. ``answer_seconds`` is how long answers
    take where that is long: no silence up to that means anything.
    """

    last_success: float | None = None
    last_failure: str = ""
    last_limit: str = ""
    proof: float | None = None
    failing_since: float | None = None
    limited_since: float | None = None
    doubted: bool = False
    answer_seconds: float = 0.0
    _probes: int = 0
    _vouched: int = 0
    _alike: dict[str, list[tuple[float, Span]]] = field(default_factory=dict)

    def succeeded(self, now: float, sent_at: float) -> None:
        """An answer came with a result."""
        self.last_success = now
        self.proof = sent_at if self.proof is None else max(self.proof, sent_at)
        self.failing_since = None
        self.limited_since = None
        if self._alike and self._is_refused_since(sent_at):
            return
        self.doubted = False
        self._probes = 0

    def _is_refused_since(self, sent_at: float) -> bool:
        """Forget who was refused before a request was sent that succeeded; whether some are left.

        Refusals are quicker than answers: what was sent before them is still being answered.
        """
        for likeness, others in list(self._alike.items()):
            self._alike[likeness] = [other for other in others if other[0] > sent_at]
            if not self._alike[likeness]:
                del self._alike[likeness]
        return bool(self._alike)

    def vouched(self, now: float, sent_at: float) -> None:
        """What was answered before was answered once more, while others were refused.

        It is paid for again; so next time it takes twice as many to ask for it, up to a point.
        """
        self.succeeded(now, sent_at)
        self._vouched = min(self._vouched + 1, _MOST_DOUBLED)

    def failed(self, now: float, told: str) -> None:
        """A request failed in a way that may pass; ``told`` says in which."""
        self.last_failure = told
        if self.failing_since is None:
            self.failing_since = now
        if self.in_outage(now):
            self._probes += 1

    def rate_limited(self, now: float, said: str = "") -> None:
        """A 429 came: the provider is there, but nothing succeeds."""
        self.failing_since = None
        self.last_limit = said
        if self.limited_since is None:
            self.limited_since = now

    def refused(
        self, now: float, likeness: str, request: Span, *, enough: int, probes: int, alone: bool
    ) -> bool:
        """A request was refused; returns whether everybody is.

        ``enough`` distinct requests that are refused alike make a doubt, and then each that
        follows ``alone``, with no other in flight, is one of the ``probes`` that remove it. A part
        of a refused request stands for it from then on: one row's fault makes all requests fail
        that hold the row.
        """
        enough <<= self._vouched
        others = self._alike.get(likeness, ())
        alike = [other for other in others if not other[1].holds(request)]
        alike.append((now, request))
        self._alike[likeness] = alike
        return self._doubt(begins=len(alike) >= enough, probes=probes, alone=alone)

    def doubts_unproven(self, likeness: str, *, named: bool) -> bool:
        """Whether a request may not be given up without a proof: too many are refused alike.

        ``named``: the answers name what all requests share, so that a few are too many.
        """
        enough = ALIKE_NAMED if named else ALIKE
        self.doubted = self.doubted or len(self._alike.get(likeness, ())) >= enough
        return self.doubted

    def lasts(self, *, alone: bool) -> bool:
        """A request failed by a cause that no waiting mends; returns whether everybody does."""
        return self._doubt(begins=True, probes=PROBES, alone=alone)

    def _doubt(self, *, begins: bool, probes: int, alone: bool) -> bool:
        if not self.doubted:
            self.doubted = begins
        elif alone:
            self._probes += 1
        return self.doubted and alone and self._probes >= probes

    def is_probing(self, now: float) -> bool:
        """Whether one request at a time goes out, to see what becomes of it."""
        return self.doubted or self.in_outage(now)

    def proves(self, since: float | None) -> bool:
        """Whether a request that was sent since then has succeeded."""
        return since is not None and self.proof is not None and self.proof >= since

    def in_outage(self, now: float) -> bool:
        """Whether everybody fails."""
        if self.failing_since is None:
            return False
        return now - self.failing_since >= OUTAGE_AFTER_SECONDS + self.answer_seconds

    @property
    def probes(self) -> int:
        """Failed probes in this outage or doubt: the exponent of the next one's backoff."""
        return self._probes

    def given_up(self, now: float, outage_timeout: float) -> str | None:
        """Why the job should pause, or None. ``outage_timeout`` is in seconds.

        Nothing but 429 for so long is no better than nothing at all.
        """
        outage_timeout += self.answer_seconds
        if self.failing_since is not None and now - self.failing_since >= outage_timeout:
            seconds = now - self.failing_since
            return f"no request succeeded for {seconds:.0f} s (the last: {self.last_failure})"
        if self.limited_since is not None and now - self.limited_since >= outage_timeout:
            said = f"; the provider says: {self.last_limit}" if self.last_limit else ""
            return (
                f"nothing but rate limit answers (429) for {now - self.limited_since:.0f} s{said}"
            )
        return None
