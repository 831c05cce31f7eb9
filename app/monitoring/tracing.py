"""OpenTelemetry traces. Imported only where they are configured: it needs the extra `tracing`."""

import time
from collections.abc import Sequence
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.monitoring.request_record import RequestRecord

EXPORT_SECONDS: Final = 5
"""Time limit of one export, and so of the last one when the process stops."""


class Tracing:
    """A span for every request with its steps below it, and one for every batch, linked to the requests in it."""

    def __init__(self, exporter: SpanExporter, station: str = "", line: str = "") -> None:
        names = {"camspector.station": station, "camspector.line": line}
        resource = {"service.name": "camspector"} | {name: value for name, value in names.items() if value}
        self._provider = TracerProvider(resource=Resource.create(resource), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("camspector")
        self._clock_began = time.time_ns() - time.perf_counter_ns()

    def begin(self, record: RequestRecord) -> None:
        """Start the request's span, below the caller's where it sent a traceparent."""
        parent = TraceContextTextMapPropagator().extract({"traceparent": record.traceparent or ""})
        record.span = self._tracer.start_span(
            record.method, parent, kind=SpanKind.SERVER, start_time=self._at(record.began)
        )

    def end(self, record: RequestRecord) -> None:
        """End the request's span, with its attributes and a child for each step."""
        span = record.span
        assert isinstance(span, Span)
        span.update_name(f"{record.method} {record.route}")
        attributes: dict[str, str | int | list[str] | None] = {
            "http.request.method": record.method,
            "http.route": record.route,
            "http.response.status_code": record.status,
            "error.type": record.error,
            "camspector.request_id": record.request_id,
            "camspector.part_id": record.part_id,
            "camspector.model": record.model,
            "camspector.version": record.version,
            "camspector.decision": record.decisions or None,
            "camspector.odd": list(record.odd) or None,
        }
        for name, value in attributes.items():
            if value is not None:
                span.set_attribute(name, value)
        if record.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        below = trace.set_span_in_context(span)
        for step in record.steps:
            began = self._at(step.began)
            child = self._tracer.start_span(step.name, below, start_time=began)
            child.end(began + round(1e9 * step.seconds))
        span.end(self._at(record.began + record.seconds))

    def batch(self, records: Sequence[RequestRecord | None], began: float, seconds: float) -> None:
        """Span of a batch in the network, linked to the request of each image."""
        spans = [record.span for record in records if record]
        links = [Link(span.get_span_context()) for span in spans if isinstance(span, Span)]
        start = self._at(began)
        span = self._tracer.start_span(
            "batch", trace.set_span_in_context(trace.INVALID_SPAN), links=links, start_time=start
        )
        span.set_attribute("camspector.images", len(records))
        span.end(start + round(1e9 * seconds))

    def stop(self) -> None:
        """Export the remaining spans."""
        self._provider.shutdown()

    def _at(self, moment: float) -> int:
        """A time.perf_counter moment in nanoseconds since 1970; spans keep their order when the clock is set."""
        return self._clock_began + round(1e9 * moment)


def export_to(endpoint: str, station: str, line: str) -> Tracing:
    """Tracing that exports to `endpoint` by OTLP over HTTP."""
    return Tracing(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS), station, line)
