"""Waiting for what another process or thread does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 300.0
"""How long a test waits for what must happen: longer than any machine takes that is merely busy.

No test says how quick something is by it; where that matters, a cause is asserted instead.
"""


def wait_until(met: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
    """Return as soon as a condition is met; ``what`` says it where it never is."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(_LOOK_SECONDS)
