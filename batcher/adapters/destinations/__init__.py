"""Where results go: JSONL, CSV, Parquet and NumPy files.

Each function's module is imported when it is first asked for: readers and writers need pyarrow and
numpy, and looking at jobs needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.adapters.files.json_files import (
        draft_json,
        draft_json_lines,
        read_drafts,
        read_json,
    )
    from batcher.adapters.files.outputs import OUTPUT_FORMATS, check_output, open_sink
    from batcher.adapters.files.parquet_sink import ArrowSink
    from batcher.adapters.files.target import is_part_of, is_same, look

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
    "ArrowSink": "batcher.adapters.files.parquet_sink",
    "OUTPUT_FORMATS": "batcher.adapters.files.outputs",
    "check_output": "batcher.adapters.files.outputs",
    "draft_json": "batcher.adapters.files.json_files",
    "draft_json_lines": "batcher.adapters.files.json_files",
    "is_part_of": "batcher.adapters.files.target",
    "is_same": "batcher.adapters.files.target",
    "look": "batcher.adapters.files.target",
    "open_sink": "batcher.adapters.files.outputs",
    "read_drafts": "batcher.adapters.files.json_files",
    "read_json": "batcher.adapters.files.json_files",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; only once."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value
