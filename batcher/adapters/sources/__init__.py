"""Where rows come from: files, URLs, and what a program hands over.

Each function's module is imported when it is first asked for: readers and writers need pyarrow and
numpy, and looking at jobs needs neither.

- :mod:`.attachments`: The files that rows name: at paths and at URLs.
- :mod:`.batch`: Some consecutive rows as a format read them, and what each format's reader can do.
- :mod:`.columns`: The columns of an input at a glance: for suggestions alone, which may be wrong or
  missing.
- :mod:`.download`: Inputs at a URL: fetched whole to disk, within limits of time, before anything
  is read of them.
- :mod:`.duplicates`: Duplicate ids in eight bytes a row: hashes first, then the ids themselves
  where hashes meet.
- :mod:`.encodings`: Text that is not UTF-8: which encoding it probably has, and the same as UTF-8.
- :mod:`.faults`: What can be wrong with one row, what the user is told, and what the user can do
  about it.
- :mod:`.file_source`: An input of any format: checked once, streamed any number of times.
- :mod:`.opening`: From a path on the command line to a source: which format, which compression,
  spooled or not.
- :mod:`.raw`: The raw bytes of an input: opened any number of times, hashed while read,
  decompressed.
- :mod:`.readers`: One format each: bytes into rows.
- :mod:`.spool`: Input that can be read only once, copied to disk so that it can be read again.
- :mod:`.testing`: What every source must keep: a test for anybody's.
- :mod:`.tables`: Inputs that are no files: rows and tables of a program, copied to disk as they are
  read.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batcher.adapters.sources.opening import INPUT_FORMATS, open_source, open_spooled
    from batcher.adapters.sources.spool import Spool
    from batcher.adapters.sources.tables import open_rows, open_table

__all__ = [
    "INPUT_FORMATS",
    "Spool",
    "open_rows",
    "open_source",
    "open_spooled",
    "open_table",
]

_PLACES = {
    "INPUT_FORMATS": "batcher.adapters.sources.opening",
    "Spool": "batcher.adapters.sources.spool",
    "open_rows": "batcher.adapters.sources.tables",
    "open_table": "batcher.adapters.sources.tables",
    "open_source": "batcher.adapters.sources.opening",
    "open_spooled": "batcher.adapters.sources.opening",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; only once."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(import_module(_PLACES[name]), name)
    return value
