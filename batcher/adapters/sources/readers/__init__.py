"""One format each: bytes into rows.

- :mod:`.arrow_reader`: A table that a program handed over, read from where it was spooled as
  Arrow's IPC stream.
- :mod:`.csv_reader`: CSV: the csv module's own reader over decoded blocks, a thousand rows at a
  time.
- :mod:`.delimiters`: What separates the fields of a CSV file, where nobody says it: as its first
  lines show.
- :mod:`.json_array`: JSON arrays: their elements as the lines of JSONL, cut out of blocks of any
  size.
- :mod:`.json_lines`: One line of JSONL that orjson refuses or would round: its exact value, or what
  is wrong with it.
- :mod:`.jsonl_reader`: JSONL: one JSON object a line, read by orjson.
- :mod:`.lines`: Blocks of whole lines, cut out of blocks of any size, and the number of each one's
  first line.
- :mod:`.parquet_reader`: Parquet: pyarrow's batches, also as plain values (:mod:`arrow_values`).
"""
