"""Files in and out: CSV, JSONL and Parquet inputs; JSONL, CSV, Parquet and NumPy outputs."""

from batcher.adapters.files.opening import open_source

__all__ = ["open_source"]
