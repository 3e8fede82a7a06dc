"""How requests reach the provider, and answers come back: one folder each, behind one seam.

- :mod:`.route`: What a run needs of any route, what it gives a route, and what settling tells it.
- :mod:`.call_queue`: The calls of one run that wait to be sent, and in which order they go.
- :mod:`.send_gate`: Between the queue and a route: which calls may be sent, and how many are in
  flight.
- :mod:`.online`: Now, one by one, as fast as the limit allows: the pump, the wire, and the pace.
"""
