"""Rows that need no request, since their results are there.

- :mod:`.previous_job`: The former job of an incremental one: its rows in an index, its results
  fetched when needed.
"""
