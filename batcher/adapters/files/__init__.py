"""Files in and out: CSV, JSONL and Parquet inputs; JSONL, CSV, Parquet and NumPy outputs."""

from batcher.adapters.files.json_files import draft_json, draft_json_lines, read_drafts, read_json
from batcher.adapters.files.opening import INPUT_FORMATS, open_source, open_spooled
from batcher.adapters.files.outputs import OUTPUT_FORMATS, check_output, open_sink
from batcher.adapters.files.spool import Spool
from batcher.adapters.files.target import is_part_of, is_same, look
from batcher.core.errors import OutputError

__all__ = [
    "INPUT_FORMATS",
    "OUTPUT_FORMATS",
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
