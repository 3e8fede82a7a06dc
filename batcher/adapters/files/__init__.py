"""Files in and out: CSV, JSONL and Parquet inputs; JSONL, CSV, Parquet and NumPy outputs."""
