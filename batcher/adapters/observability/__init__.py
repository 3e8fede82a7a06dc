"""What a worker shows of itself: a log, metrics, health, traces.

- :mod:`.event_log`: Events on standard error, one a line: as JSON for machines, or as text for
  people.
- :mod:`.exposition`: Metrics in Prometheus's text format, version 0.0.4.
- :mod:`.health`: A worker's state over HTTP: for supervisors and Prometheus. It takes no orders.
- :mod:`.tracing`: One OpenTelemetry span for each request, where whoever runs the process has set
  up an exporter.
"""
