"""Prometheus metrics, in a registry of their own for every application."""

from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from app.errors import TABLE
from app.monitoring.stderr import backlog

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

RECORD_RESULTS: Final = ("written", "unconfirmed", "lost", "image-lost")
"""unconfirmed: written later than its reply was sent, or lost."""


class Metrics:
    """Their names and of what they are: docs/api.md; what each counts is its help text."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(backlog)
        counter = partial(Counter, namespace="camspector", registry=registry)
        gauge = partial(Gauge, namespace="camspector", registry=registry)
        histogram = partial(Histogram, namespace="camspector", registry=registry)
        seconds = partial(histogram, buckets=_SECONDS)

        self.service = Info("service", "Release, station and line.", namespace="camspector", registry=registry)
        self.requests = counter("http_requests_total", "Requests answered.", ["method", "route", "status"])
        self.request_seconds = seconds(
            "http_request_duration_seconds", "From a request's headers to the end of its answer.", ["method", "route"]
        )
        self.preprocess_seconds = seconds("request_preprocess_seconds", "Reading and decoding an image.")
        self.predict_seconds = seconds("request_predict_seconds", "The network, for the image's batch.")
        self.postprocess_seconds = seconds("request_postprocess_seconds", "Verdict, regions, heatmap and overlay.")
        self.queue_seconds = seconds("queue_wait_seconds", "Waiting for the network.")
        self.queue_depth = gauge("queue_depth", "Images waiting for the network.")
        self.in_progress = gauge("requests_in_progress", "Requests being worked on.")
        self.batch_size = histogram("batch_size", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64))
        self.loop_delay = seconds(
            "event_loop_delay_seconds", "How late the event loop came to a task that was due, ten times a second."
        )
        self.backlog = gauge("connections_waiting", "Connections that wait to be taken in.")
        self.codecs_busy = gauge("codec_processes_busy", "Processes that decode or draw an image.")
        self.codecs_killed = counter(
            "codec_processes_killed_total", "Codec processes that ended before their image did, by reason.", ["reason"]
        )
        self.codec_stderr_lines = counter("codec_stderr_lines_total", "Lines that codecs wrote, and nobody reads.")
        self.rejected = counter(
            "requests_rejected_total", "Requests answered with an error, by the problem's `error`.", ["reason"]
        )
        for problem in TABLE.values():  # from 0 on: of a series that begins with 1, Prometheus sees no increase
            self.rejected.labels(problem.error)
        self.verdicts = counter("verdicts_total", "Verdicts given.", ["model", "version", "label", "decision"])
        self.cleared = counter(
            "cleared_images_total", "Images that the narrow network of a cascade cleared.", ["model", "version"]
        )
        self.odd = counter(
            "odd_images_total",
            "Images that the gate stopped, by check; one that fails several counts in each.",
            ["model", "check"],
        )
        self.challenges = counter(
            "challenges_total", "Challenge images; failed: not decided as expected.", ["model", "kind", "result"]
        )
        self.challenge_passed = gauge(
            "challenge_passed_timestamp_seconds", "When the model last passed a challenge run.", ["model"]
        )
        tenths = [tenth / 10 for tenth in range(1, 11)]
        self.probability = histogram("verdict_probability", "Probability of anomaly.", ["model"], buckets=tenths)
        self.records = counter(
            "records_total", "Inspections by what became of their records, and images that were lost.", ["result"]
        )
        for result in RECORD_RESULTS:
            self.records.labels(result)
        self.records_waiting = gauge("records_waiting", "Inspections that are not recorded yet.")
        self.records_unavailable = gauge("records_unavailable", "1 while records can't be written.")
