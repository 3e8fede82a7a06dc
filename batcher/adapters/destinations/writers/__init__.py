r"""One format each: records into bytes.

- :mod:`.csv_sink`: CSV out: the input's columns and the result's, quoted only where they must be,
  ``\n`` line ends.
- :mod:`.jsonl_sink`: JSONL out: ``{"id": …, "row": 12, "embedding": […]}``, one record a line.
- :mod:`.layout`: Which columns an output has, and how one value is written where there is only
  text.
- :mod:`.npy_sink`: NumPy out: the vectors alone, one after another, as one float32 array of two
  dimensions.
- :mod:`.parquet_draft`: A Parquet file on its way: row groups appended, and rewritten when the
  schema widens.
- :mod:`.parquet_sink`: Parquet out: the input's columns and the result's, vectors as
  ``fixed_size_list<float32>``.
- :mod:`.parquet_types`: The types of Parquet columns: those of an Arrow input, or as their values
  turn out to be.
- :mod:`.text_sink`: What CSV and JSONL outputs share: a text, compressed perhaps, written beside
  its target.
"""
