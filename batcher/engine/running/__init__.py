"""One run of one job: its parts, the shards that it holds, and its end.

- :mod:`.leases`: The shards that a run holds: claimed, owned up for, renewed, lost.
- :mod:`.parts`: The parts of one run, put together: which there are, and who knows whom.
- :mod:`.run`: One run of one job: plan, lease, send, checkpoint, until all is done or something
  ends it.
"""
