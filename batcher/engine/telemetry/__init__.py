"""What is told: figures, events, traces and metrics.

- :mod:`.metrics`: What a worker counts, kept by kind and model, and shown as families of metrics.
- :mod:`.run_stats`: The figures of a run while it goes on, for whoever shows them. Plain counters,
  no I/O.
- :mod:`.run_telemetry`: What one run tells of itself: figures to whoever watches, events to whoever
  runs it.
- :mod:`.watch`: A job seen from elsewhere: the figures that its workers leave in the store.
"""
