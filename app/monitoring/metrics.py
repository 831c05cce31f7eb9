"""Prometheus metrics, in a registry of their own for every application."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from app.errors import TABLE
from app.monitoring.stderr import backlog

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Their names and of what they are: docs/api.md; what each counts is its help text."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(backlog)
        self.requests = Counter(
            "camspector_http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "camspector_http_request_duration_seconds",
            "From a request's headers to the end of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.preprocess_seconds = Histogram(
            "camspector_request_preprocess_seconds",
            "Reading and decoding an image.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.predict_seconds = Histogram(
            "camspector_request_predict_seconds",
            "The network, for the image's batch.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.postprocess_seconds = Histogram(
            "camspector_request_postprocess_seconds",
            "Verdict, regions, heatmap and overlay.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "camspector_queue_wait_seconds", "Waiting for the network.", buckets=_SECONDS, registry=registry
        )
        self.queue_depth = Gauge("camspector_queue_depth", "Images waiting for the network.", registry=registry)
        self.in_progress = Gauge("camspector_requests_in_progress", "Requests being worked on.", registry=registry)
        self.batch_size = Histogram(
            "camspector_batch_size", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.loop_delay = Histogram(
            "camspector_event_loop_delay_seconds",
            "How late the event loop came to a task that was due, ten times a second.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.backlog = Gauge(
            "camspector_connections_waiting", "Connections that wait to be taken in.", registry=registry
        )
        self.codecs_busy = Gauge(
            "camspector_codec_processes_busy", "Processes that decode or draw an image.", registry=registry
        )
        self.codecs_killed = Counter(
            "camspector_codec_processes_killed_total",
            "Codec processes that ended before their image did, by reason.",
            ["reason"],
            registry=registry,
        )
        self.codec_stderr_lines = Counter(
            "camspector_codec_stderr_lines_total", "Lines that codecs wrote, and nobody reads.", registry=registry
        )
        self.rejected = Counter(
            "camspector_requests_rejected_total",
            "Requests answered with an error, by the problem's `error`.",
            ["reason"],
            registry=registry,
        )
        for problem in TABLE.values():  # from 0 on: of a series that begins with 1, Prometheus sees no increase
            self.rejected.labels(problem.error)
        self.verdicts = Counter(
            "camspector_verdicts_total", "Verdicts given.", ["model", "version", "label", "decision"], registry=registry
        )
        self.probability = Histogram(
            "camspector_verdict_probability",
            "Probability of anomaly.",
            ["model"],
            buckets=[tenth / 10 for tenth in range(1, 11)],
            registry=registry,
        )
