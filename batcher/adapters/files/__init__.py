"""Files in and out: CSV, JSONL and Parquet inputs; JSONL, CSV, Parquet and NumPy outputs.

Each function's module is imported when it is first asked for: readers and writers need pyarrow and
numpy, and looking at jobs needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.adapters.files.arrow_sink import ArrowSink
    from batcher.adapters.files.json_files import (
        draft_json,
        draft_json_lines,
        read_drafts,
        read_json,
    )
    from batcher.adapters.files.opening import INPUT_FORMATS, open_source, open_spooled
    from batcher.adapters.files.outputs import OUTPUT_FORMATS, check_output, open_sink
    from batcher.adapters.files.spool import Spool
    from batcher.adapters.files.target import is_part_of, is_same, look
    from batcher.core.errors import OutputError

__all__ = [
    "INPUT_FORMATS",
    "OUTPUT_FORMATS",
    "ArrowSink",
    "OutputError",
    "Spool",
    "check_output",
    "draft_json",
    "draft_json_lines",
    "is_part_of",
    "is_same",
    "look",
    "open_sink",
    "open_source",
    "open_spooled",
    "read_drafts",
    "read_json",
]

_HERE = "batcher.adapters.files"
_PLACES = {
    "ArrowSink": f"{_HERE}.arrow_sink",
    "INPUT_FORMATS": f"{_HERE}.opening",
    "OUTPUT_FORMATS": f"{_HERE}.outputs",
    "OutputError": "batcher.core.errors",
    "Spool": f"{_HERE}.spool",
    "check_output": f"{_HERE}.outputs",
    "draft_json": f"{_HERE}.json_files",
    "draft_json_lines": f"{_HERE}.json_files",
    "is_part_of": f"{_HERE}.target",
    "is_same": f"{_HERE}.target",
    "look": f"{_HERE}.target",
    "open_sink": f"{_HERE}.outputs",
    "open_source": f"{_HERE}.opening",
    "open_spooled": f"{_HERE}.opening",
    "read_drafts": f"{_HERE}.json_files",
    "read_json": f"{_HERE}.json_files",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; only once."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value
