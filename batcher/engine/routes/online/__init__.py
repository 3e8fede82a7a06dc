"""Now, one by one, as fast as the limit allows: the pump, the wire, and the pace.

- :mod:`.route`: The online route of one run, put together.
- :mod:`.dispatcher`: When each call is sent: the pump between the queue and the wire.
- :mod:`.in_flight`: The calls of one run on the wire, and how many more may join them.
- :mod:`.pace`: What answers say about the pace: the throttle's buckets, its pauses, and the window.
- :mod:`.send_times`: The send times that one run has of the throttle.
- :mod:`.senders`: The requests of one run that are on the wire: each from its body to what its
  answer means.
"""
