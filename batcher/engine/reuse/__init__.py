"""Rows that need no request, since their results are there.

- :mod:`.previous_job`: ``--since-last``: the former job's rows in an index, its results fetched
  when needed.
- :mod:`.strategies`: Several strategies of reuse as one, asked in order, and shards filled with
  what they have.
"""
