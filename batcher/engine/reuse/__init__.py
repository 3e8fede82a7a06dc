"""Rows that need no request, since their results are there.

- :mod:`.previous_job`: ``--since-last``: the former job's rows in an index, its results fetched
  when needed.
- :mod:`.strategy`: What a strategy of reuse answers: before tokens are counted, does this row need
  a call?
"""
