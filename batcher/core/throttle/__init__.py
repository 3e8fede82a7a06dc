"""How fast: the limits of a quota, who shares it, and what answers teach of it.

- :mod:`.bucket`: The values of the throttle, and one limit's bucket: arithmetic on debt, no
  waiters.
- :mod:`.concurrency`: How many requests may be in flight: all that is wanted where a limit is
  known, else by trial.
- :mod:`.observation`: What one answer says of the limits, read from its headers.
- :mod:`.quota`: A quota's state: two buckets on one timeline, and a pause that stops everyone once.
- :mod:`.rates`: How fast, before a limit has shown; what 429s leave of a quota's rates, and how
  these come back.
- :mod:`.refusals`: What 429s have to do with the load: a limit that binds, or mere chance.
- :mod:`.sharing`: Who may reserve next: jobs share a quota by weight, and the workers of one job
  share its part.
- :mod:`.slots`: A process's requests in flight, shared by its jobs: by weight, and none of it left
  idle.
- :mod:`.snapshot`: What is shown of a quota: the limits in force, and how much of each is in use.
- :mod:`.window_count`: A limit that is counted in windows: what was granted lately, and when it
  admits more.
- :mod:`.windows`: A limit that is counted in windows: what it is learned to be.
"""
