"""What reading and writing share: names of formats, JSON, the types of Arrow.

- :mod:`.arrow_storage`: The Arrow types that a Parquet file is written with.
- :mod:`.arrow_times`: Dates and times as ISO 8601 text, out of whole numbers of any size.
- :mod:`.arrow_values`: Arrow columns as plain values: what prompts, CSV cells and ids are made of.
- :mod:`.file_names`: What a file's name says about it: its format and its compression.
- :mod:`.json_text`: Values as JSON, as outputs have them: compact, exact, and vectors as short as
  they can be.
"""
