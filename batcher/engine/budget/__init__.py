"""Whether there is money left for what is to be sent.

- :mod:`.budget_guard`: Whether a run has money left for what it still has to send, alone or beside
  others.
- :mod:`.job_budget`: What one job has spent and reserved, in all the workers that share it.
- :mod:`.run_budget`: What one run may still spend: a last look at every request before it leaves.
"""
