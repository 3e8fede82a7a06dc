"""Spans as an exporter gets them; none, and nothing to be called, where there is none."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from batcher.adapters.observability.tracing import open_trace
from batcher.ports import Fate, RequestFact


def fact(
    fate: Fate, status: int | None, *, kind: str = "chat", endpoint: str = "/chat/completions"
) -> RequestFact:
    return RequestFact(
        job="j1", kind=kind, endpoint=endpoint, model="m", request="batcher-j1-0-1",
        fate=fate, status=status, seconds=1.5, prompt_tokens=12, completion_tokens=3,
    )  # fmt: skip


def test_a_request_is_one_span_with_its_times_and_no_content() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace = open_trace(provider)
    assert trace is not None
    trace.request(fact(Fate.OK, 200, kind="vectors", endpoint="/embeddings"))
    trace.request(fact(Fate.TIMEOUT, None))
    trace.request(fact(Fate.OK, 200, kind="sort", endpoint="/v2/rerank"))

    good, bad, other = exporter.get_finished_spans()
    assert other.name == "rerank m"
    assert good.name == "embeddings m"
    assert good.kind is SpanKind.CLIENT
    assert dict(good.attributes or {}) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "http.response.status_code": 200,
        "batcher.job": "j1",
        "batcher.kind": "vectors",
        "batcher.request": "batcher-j1-0-1",
        "batcher.outcome": "ok",
    }
    assert good.start_time is not None
    assert good.end_time is not None
    assert good.end_time - good.start_time == 1_500_000_000
    assert good.status.status_code is StatusCode.UNSET
    assert bad.status.status_code is StatusCode.ERROR
    assert (bad.attributes or {})["error.type"] == "timeout"


def test_without_an_exporter_there_is_no_trace_at_all() -> None:
    assert open_trace() is None


def test_without_the_package_there_is_none_either() -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from batcher.adapters.observability.tracing import open_trace\n"
        "assert open_trace() is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
