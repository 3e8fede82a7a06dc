"""Waiting for what another process or thread does in its own time."""

from __future__ import annotations

import time
from collections.abc import Callable

_LOOK_SECONDS = 0.01


def wait_until(met: Callable[[], bool], what: str, *, seconds: float = 30.0) -> None:
    """Return as soon as a condition is met; ``what`` says it where it never is."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(_LOOK_SECONDS)
