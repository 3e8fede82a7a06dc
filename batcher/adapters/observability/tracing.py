"""One OpenTelemetry span for each request, where whoever runs the process has set up an exporter.

Spans are made when a request is over, with its true times: so there is one call for each, and none
where nothing is exported. They hold ids, counts and how it ended, and nothing of a row.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from batcher.ports import Fate, RequestFact, Trace

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer, TracerProvider

_NANOSECONDS = 1_000_000_000
_OPERATIONS = {"/embeddings": "embeddings", "/chat/completions": "chat"}


class SpanTrace:
    """See :class:`batcher.ports.Trace`. Names follow OpenTelemetry's for generative AI."""

    def __init__(self, tracer: Tracer) -> None:
        """``tracer`` makes the spans."""
        self._tracer = tracer

    def __repr__(self) -> str:
        return "<SpanTrace>"

    def request(self, fact: RequestFact) -> None:
        """See :meth:`batcher.ports.Trace.request`."""
        from opentelemetry.trace import SpanKind, StatusCode

        operation = _OPERATIONS.get(fact.endpoint, fact.endpoint.rpartition("/")[2])
        ended = time.time_ns()
        attributes: dict[str, str | int] = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": fact.model,
            "gen_ai.usage.input_tokens": fact.prompt_tokens,
            "gen_ai.usage.output_tokens": fact.completion_tokens,
            "batcher.job": fact.job,
            "batcher.kind": fact.kind,
            "batcher.request": fact.request,
            "batcher.outcome": str(fact.fate),
        }
        if fact.status is not None:
            attributes["http.response.status_code"] = fact.status
        span = self._tracer.start_span(
            f"{operation} {fact.model}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(fact.seconds * _NANOSECONDS),
        )
        if fact.fate is not Fate.OK:
            span.set_attribute("error.type", str(fact.fate))
            span.set_status(StatusCode.ERROR)
        span.end(ended)


def open_trace(provider: TracerProvider | None = None) -> Trace | None:
    """A trace, where there is an SDK that records spans; None, and no cost at all, elsewhere.

    ``provider`` is the process's own unless given: whoever starts the worker has set it up, by
    ``opentelemetry-instrument`` or in code.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    tracer = (provider or trace.get_tracer_provider()).get_tracer("batcher")
    probe = tracer.start_span("batcher.probe")
    return SpanTrace(tracer) if probe.is_recording() else None
