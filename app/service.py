"""The parts of a running service, made from its settings, started and stopped together."""

import time
from concurrent.futures import InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from app.admission import Admission
from app.batch_queue import BatchQueue
from app.keys import Keyring
from app.latency_estimator import LatencyEstimator
from app.metrics import Metrics
from app.model_manager import ModelManager
from app.pipeline import Pipeline
from app.sandbox.limits import Limits
from app.sandbox.pool import CodecPool
from app.settings import ConfigurationError, Settings
from app.statistics import Statistics
from app.watchdog import Watchdog
from app.worker import Worker
from model.cpus import available_cpus
from model.errors import EngineError

if TYPE_CHECKING:
    from app.tracing import Tracing

STOP_SECONDS: Final = 10.0
"""For threads to finish what they do; the process ends without those that don't."""


class Service:
    """Everything that requests share. `draining` is set when the process is told to stop."""

    def __init__(self, settings: Settings) -> None:
        """Raises KeysError."""
        self.settings = settings
        self.keyring = Keyring(settings.keys_file)
        self.metrics = Metrics()
        self.statistics = Statistics()
        self.tracing = _open_tracing(settings.trace_endpoint)
        self.registry = ModelManager(settings, self.metrics)
        self.latency, self.drawing = LatencyEstimator(), LatencyEstimator()
        self.admission = Admission(settings.queue_size, settings.max_bytes, self.latency, self.drawing, self.metrics)
        cpus = available_cpus()
        self.queue = BatchQueue(cpus, settings.max_batch, self.metrics)
        self.lanes = [Worker(self.queue, self.metrics, self.registry.report, self.tracing) for _ in range(cpus)]
        self.workers = ThreadPoolExecutor(cpus, thread_name_prefix="worker")
        limits = Limits.of(settings.max_pixels, settings.max_bytes)
        self.codecs = CodecPool(cpus, settings.max_pixels, limits, self.metrics)
        self.pipeline = Pipeline(self.workers, self.codecs, self.queue, self.latency, self.drawing)
        self.watch = Watchdog(self.lanes, settings.hang_seconds)
        self.draining = False
        self.hung = ""
        """Why the process is about to end, in words."""

    def start(self) -> None:
        """In the event loop."""
        self.registry.start()
        self.keyring.start()
        for lane in self.lanes:
            lane.start()
        self.codecs.start()

    def stop(self) -> None:
        """For when the last request is answered, or cut off."""
        self.registry.stop()
        self.keyring.stop()
        self.codecs.stop()
        self.queue.close()
        self.workers.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + STOP_SECONDS
        for thread in (*self.lanes, self.registry.thread, self.keyring.thread):
            thread.join(max(0.0, until - time.monotonic()))
        if self.tracing:
            self.tracing.stop()

    def give_up(self, reason: str) -> None:
        """The engine hangs: answer whoever waits for it."""
        self.hung = reason
        error = EngineError(reason)
        self.queue.fail(error)
        for lane in self.lanes:
            for job in lane.current or []:
                with suppress(InvalidStateError):  # it has come back after all
                    job.answer.set_exception(error)

    def dead(self) -> list[str]:
        """What has stopped that must run, in words: only a restart mends it. Empty: the process is alive."""
        threads = {
            "the registry's thread": self.registry.thread.is_alive(),
            "the keys' thread": self.keyring.thread.is_alive(),
        } | {f"engine lane {number}": lane.is_alive() for number, lane in enumerate(self.lanes, 1)}
        return [f"{name} has stopped" for name, alive in threads.items() if not alive] + [self.hung] * bool(self.hung)

    def unready(self) -> list[str]:
        """Why no new requests should be sent here, in words. Empty: the service is ready."""
        draining = ["the service is shutting down"] if self.draining else []
        return self.dead() + draining + self.codecs.stalled() + self.registry.waiting()


def _open_tracing(endpoint: str | None) -> "Tracing | None":
    """OpenTelemetry is imported only where it is asked for. Raises ConfigurationError where it isn't installed."""
    if endpoint is None:
        return None
    try:
        from app.tracing import export_to
    except ImportError as error:
        raise ConfigurationError(f"--trace-endpoint needs the packages of camspector[tracing]: {error}") from None

    return export_to(endpoint)
