"""Events as JSON, one a line, on standard error."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from batcher.ports import Event, Fact


def write_event(event: Event, /, **facts: Fact) -> None:
    """See :class:`batcher.ports.Log`."""
    line = orjson.dumps(
        {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": str(event), **facts}
    )
    try:
        sys.stderr.write(line.decode() + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # nobody reads it
