"""How requests reach the provider, and answers come back. One folder each.

- :mod:`.online`: Now, one by one, as fast as the limit allows: the queue, the wire, and the pace.
"""
