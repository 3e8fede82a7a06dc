"""Where rows come from: CSV, JSONL and Parquet files, URLs, and what a program hands over.

Each function's module is imported when it is first asked for: readers and writers need pyarrow and
numpy, and looking at jobs needs neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.adapters.files.opening import INPUT_FORMATS, open_source, open_spooled
    from batcher.adapters.files.spool import Spool

__all__ = [
    "INPUT_FORMATS",
    "Spool",
    "open_source",
    "open_spooled",
]

_PLACES = {
    "INPUT_FORMATS": "batcher.adapters.files.opening",
    "Spool": "batcher.adapters.files.spool",
    "open_source": "batcher.adapters.files.opening",
    "open_spooled": "batcher.adapters.files.opening",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; only once."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value
