"""Files in and out: CSV, JSONL and Parquet inputs; JSONL, CSV, Parquet and NumPy outputs."""

from batcher.adapters.files.json_files import read_json, write_json, write_json_lines
from batcher.adapters.files.opening import INPUT_FORMATS, open_source, open_spooled
from batcher.adapters.files.outputs import OUTPUT_FORMATS, check_output, open_sink
from batcher.adapters.files.spool import Spool
from batcher.adapters.files.target import OutputError, remove_file

__all__ = [
    "INPUT_FORMATS",
    "OUTPUT_FORMATS",
    "OutputError",
    "Spool",
    "check_output",
    "open_sink",
    "open_source",
    "open_spooled",
    "read_json",
    "remove_file",
    "write_json",
    "write_json_lines",
]
