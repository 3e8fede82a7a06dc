"""The store in dictionaries, for tests and trials.

- :mod:`.deliveries`: The verbs of :class:`batcher.ports.DeliveryStore` in dictionaries.
- :mod:`.fleet`: The verbs of :class:`batcher.ports.FleetStore` in dictionaries.
- :mod:`.jobs`: What the store in memory holds: jobs, and their shards with plan, lease and
  checkpoints.
- :mod:`.orders`: The verbs of :class:`batcher.ports.OrderStore` and ``ScheduleStore`` in
  dictionaries.
- :mod:`.results`: The verbs of :class:`batcher.ports.ShardStore` that read what is done, in memory.
- :mod:`.store`: A store that lives and dies with its process; it passes the same contract suite as
  SQL.
"""
