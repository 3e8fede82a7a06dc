"""The figures of a run while it goes on, for whoever shows them. Plain counters, no I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from batcher.core.model import Tally, Usage
from batcher.core.throttle.bucket import Limits


@dataclass(slots=True, kw_only=True)
class RunStats:
    """What a progress view reads.

    ``job`` is the job's id, by which its run may be interrupted; ``rows`` its total; ``base`` what
    earlier runs did; the counters are this run's.
    ``phase`` is ``sending`` (planning goes on beside it while ``rows_planned`` is below ``rows``),
    ``finishing`` what is in flight, or ``exporting``. ``answered``: something has, whatever it was;
    until then ``unreached`` says where nothing does, why, and what to do about it.
    """

    rows: int
    base: Tally
    started_at: float
    phase: str = "sending"
    rows_planned: int = 0
    rows_done: int = 0
    dead: int = 0
    requests: int = 0
    rate_limited: int = 0
    retried: int = 0
    last_fault: str = ""
    last_limit: str = ""
    in_flight: int = 0
    window: int = 1
    usage: Usage = field(default_factory=Usage)
    limits: Limits = field(default_factory=Limits)
    outage: bool = False
    priced: bool = False
    job: str = ""
    answered: bool = False
    unreached: str = ""

    def count(self, usage: Usage) -> None:
        """One more answer."""
        self.usage += usage

    def carry(self, rows: int) -> None:
        """So many rows were found to be done before: they say nothing of this run's speed."""
        self.base = replace(self.base, rows_done=self.base.rows_done + rows)

    def __repr__(self) -> str:
        """The figures that matter, on one line."""
        done = self.base.rows_done + self.rows_done
        dead = self.base.rows_failed + self.dead
        return (
            f"<Live {self.phase}: {done} of {self.rows} rows, {dead} dead, "
            f"{self.in_flight} in flight, {self.rate_limited} rate limited>"
        )
