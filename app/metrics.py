"""Prometheus metrics, in a registry of their own for every application."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector

from app.errors import TABLE
from app.model_snapshot import LoadedModel, ModelState
from app.stderr import backlog

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Their names and of what they are: docs/api.md; what each counts is its help text."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(backlog)
        self.requests = Counter(
            "http_requests_total", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self.request_seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's headers to the end of its answer.",
            ["method", "route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.preprocess_seconds = Histogram(
            "request_preprocess_seconds", "Reading and decoding an image.", buckets=_SECONDS, registry=registry
        )
        self.predict_seconds = Histogram(
            "request_predict_seconds", "The network, for the image's batch.", buckets=_SECONDS, registry=registry
        )
        self.postprocess_seconds = Histogram(
            "request_postprocess_seconds", "Verdict, regions and pictures.", buckets=_SECONDS, registry=registry
        )
        self.queue_seconds = Histogram(
            "queue_wait_seconds", "Waiting for the network.", buckets=_SECONDS, registry=registry
        )
        self.queue_depth = Gauge("queue_depth", "Images waiting for the network.", registry=registry)
        self.in_progress = Gauge("requests_in_progress", "Requests being worked on.", registry=registry)
        self.batch_size = Histogram(
            "batch_size", "Images in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64), registry=registry
        )
        self.loop_delay = Histogram(
            "event_loop_delay_seconds",
            "How late the event loop came to a task that was due, ten times a second.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.backlog = Gauge("connections_waiting", "Connections that wait to be taken in.", registry=registry)
        self.codecs_busy = Gauge("codec_processes_busy", "Processes that decode or draw an image.", registry=registry)
        self.codecs_killed = Counter(
            "codec_processes_killed_total",
            "Codec processes that ended before their image did, by reason.",
            ["reason"],
            registry=registry,
        )
        self.codec_stderr_lines = Counter(
            "codec_stderr_lines_total", "Lines that codecs wrote, and nobody reads.", registry=registry
        )
        self.rejected = Counter(
            "requests_rejected_total",
            "Requests answered with an error, by the problem's `error`.",
            ["reason"],
            registry=registry,
        )
        for problem in TABLE.values():  # from 0 on: of a series that begins with 1, Prometheus sees no increase
            self.rejected.labels(problem.error)
        self.verdicts = Counter(
            "verdicts_total", "Verdicts given.", ["model", "version", "label", "decision"], registry=registry
        )
        self.probability = Histogram(
            "verdict_probability",
            "Probability of anomaly.",
            ["model"],
            buckets=[tenth / 10 for tenth in range(1, 11)],
            registry=registry,
        )
        self._serving_version = Gauge(
            "model_serving_version", "The version that serves; 0: none.", ["model"], registry=registry
        )
        self._refused_versions = Gauge(
            "model_refused_versions", "Versions of the store that can't be used.", ["model"], registry=registry
        )
        self._serving_file_refused = Gauge(
            "model_serving_file_refused", "1 where what serving.json says isn't in force.", ["model"], registry=registry
        )
        self.store_look_age = Gauge(
            "store_look_age_seconds", "Since a look at the store was last completed.", registry=registry
        )

        self._serving_engine = Info(
            "model_engine", "Engine, variant and device of the version that serves.", ["model"], registry=registry
        )

    def show_model(self, name: str, model: ModelState) -> None:
        """What holds of it now."""
        self._serving_engine.labels(name).info(_how(model.serving))
        self._serving_version.labels(name).set(model.serving.version if model.serving else 0)
        self._refused_versions.labels(name).set(len(model.refused))
        self._serving_file_refused.labels(name).set(bool(model.fault))

    def forget_model(self, name: str) -> None:
        """It is gone."""
        for each in (self._serving_version, self._refused_versions, self._serving_file_refused, self._serving_engine):
            each.remove(name)


def _how(serving: LoadedModel | None) -> dict[str, str]:
    """What runs it; empty where nothing serves."""
    if serving is None:
        return {"engine": "", "variant": "", "device": ""}
    engine = serving.detector.engine
    return {"engine": engine.name, "variant": serving.detector.variant.name, "device": engine.device}
