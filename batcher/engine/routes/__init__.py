"""How requests reach the provider, and answers come back. One folder each.

- :mod:`.call_queue`: The calls of one run that wait to be sent, and in which order they go.
- :mod:`.online`: Now, one by one, as fast as the limit allows: the queue, the wire, and the pace.
"""
