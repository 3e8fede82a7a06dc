"""Whether failures are a request's own or everybody's.

A quota that had no success for 30 s while requests fail in ways that may pass is in an outage: no
attempt counts, one probe at a time goes out, with backoff, and after a limit the job pauses. So an
outage fails no row, and a row that fails while others succeed does not look like an outage.
"""

from __future__ import annotations

from dataclasses import dataclass

OUTAGE_AFTER_SECONDS = 30.0
RATE_LIMITED_TOO_LONG_SECONDS = 900.0


@dataclass(slots=True, kw_only=True)
class Health:
    """What one quota's answers say; all times are on one clock, passed in.

    ``last_success`` is None before the first; ``last_failure`` is the code of the latest failure
    that may pass; ``proof`` is when the latest request that succeeded
    was sent: what is still answered in an outage was sent before it, and proves nothing.
    """

    last_success: float | None = None
    last_failure: str = ""
    proof: float | None = None
    failing_since: float | None = None
    limited_since: float | None = None
    _probes: int = 0

    def succeeded(self, now: float, sent_at: float) -> None:
        """An answer came with a result."""
        self.last_success = now
        self.proof = sent_at if self.proof is None else max(self.proof, sent_at)
        self.failing_since = None
        self.limited_since = None
        self._probes = 0

    def failed(self, now: float, code: str) -> None:
        """A request failed in a way that may pass."""
        self.last_failure = code
        if self.failing_since is None:
            self.failing_since = now
        if self.in_outage(now):
            self._probes += 1

    def rate_limited(self, now: float) -> None:
        """A 429 came: the provider is there, but nothing succeeds."""
        self.failing_since = None
        if self.limited_since is None:
            self.limited_since = now

    def in_outage(self, now: float) -> bool:
        """Whether everybody fails."""
        return self.failing_since is not None and now - self.failing_since >= OUTAGE_AFTER_SECONDS

    @property
    def probes(self) -> int:
        """Failed probes in this outage: the exponent of the next one's backoff."""
        return self._probes

    def given_up(self, now: float, outage_timeout: float) -> str | None:
        """Why the job should pause, or None. ``outage_timeout`` is in seconds."""
        if self.failing_since is not None and now - self.failing_since >= outage_timeout:
            seconds = now - self.failing_since
            return f"no request succeeded for {seconds:.0f} s (the last: {self.last_failure})"
        if (
            self.limited_since is not None
            and now - self.limited_since >= RATE_LIMITED_TOO_LONG_SECONDS
        ):
            return f"nothing but rate limit answers (429) for {now - self.limited_since:.0f} s"
        return None
