"""Now, one by one, as fast as the limit allows: the queue, the wire, and the pace.

- :mod:`.dispatcher`: When each call is sent: the queue between leased shards and the wire.
- :mod:`.pace`: What answers say about the pace: the throttle's buckets, its pauses, and the window.
- :mod:`.senders`: The requests of one run that are on the wire: each from its body to what its
  answer means.
"""
