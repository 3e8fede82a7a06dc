"""One run of one job: its parts, the shards that it holds, and its end.

- :mod:`.run`: One run of one job: plan, lease, send, checkpoint, until all is done or something
  ends it.
- :mod:`.run_parts`: The parts of one run, put together: which there are, and who knows whom.
- :mod:`.run_plan`: The plan of one run's job: written here, or by somebody else meanwhile.
- :mod:`.leases`: The shards that a run holds: claimed, owned up for, renewed, lost.
- :mod:`.leasing`: Keeps enough calls of one run queued, and finds out when there are no more.
- :mod:`.watching`: What a run looks at once a second: its figures, its provider, its money, and
  its job.
"""
