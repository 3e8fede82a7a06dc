"""Where results go: files that are complete or absent.

Each function's module is imported when it is first asked for: readers and writers need pyarrow and
numpy, and looking at jobs needs neither.

- :mod:`.json_files`: Small JSON files beside an output: the errors and the manifest, complete or
  absent alike.
- :mod:`.opening`: From a path on the command line to a sink: which format, which compression, file
  or stream.
- :mod:`.target`: Where an output goes: a file that is complete or absent, or a stream that just
  flows.
- :mod:`.terminal`: Records on a terminal: what is in them is shown, and moves no cursor.
- :mod:`.testing`: What every destination must keep: a test for anybody's.
- :mod:`.write_behind`: A file whose bytes another thread brings to disk, while its owner makes the
  next ones.
- :mod:`.writers`: One format each: records into bytes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.adapters.destinations.json_files import (
        draft_json,
        draft_json_lines,
        read_drafts,
        read_json,
    )
    from batcher.adapters.destinations.opening import OUTPUT_FORMATS, check_output, open_sink
    from batcher.adapters.destinations.target import is_part_of, is_same, look
    from batcher.adapters.destinations.writers.parquet_sink import ArrowSink

__all__ = [
    "OUTPUT_FORMATS",
    "ArrowSink",
    "check_output",
    "draft_json",
    "draft_json_lines",
    "is_part_of",
    "is_same",
    "look",
    "open_sink",
    "read_drafts",
    "read_json",
]

_PLACES = {
    "ArrowSink": "batcher.adapters.destinations.writers.parquet_sink",
    "OUTPUT_FORMATS": "batcher.adapters.destinations.opening",
    "check_output": "batcher.adapters.destinations.opening",
    "draft_json": "batcher.adapters.destinations.json_files",
    "draft_json_lines": "batcher.adapters.destinations.json_files",
    "is_part_of": "batcher.adapters.destinations.target",
    "is_same": "batcher.adapters.destinations.target",
    "look": "batcher.adapters.destinations.target",
    "open_sink": "batcher.adapters.destinations.opening",
    "read_drafts": "batcher.adapters.destinations.json_files",
    "read_json": "batcher.adapters.destinations.json_files",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; only once."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value
