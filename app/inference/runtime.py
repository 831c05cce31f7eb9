"""What inspects images, wired together: queue, workers, codec processes and pipeline, of a service or a command."""

from collections.abc import Callable
from concurrent.futures import InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from app.inference.batch_queue import BatchQueue
from app.inference.latency_estimator import LatencyEstimator
from app.inference.pipeline import Pipeline
from app.inference.watchdog import Watchdog
from app.inference.worker import Worker
from app.monitoring.metrics import Metrics
from app.sandbox.limits import Limits
from app.sandbox.pool import CodecPool
from app.settings import Settings
from model.cpus import available_cpus
from model.detector import Detector
from model.errors import EngineError

if TYPE_CHECKING:
    from app.monitoring.tracing import Tracing


class InferenceRuntime:
    """Started and stopped together."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        report: Callable[[Detector], None] = lambda _: None,
        tracing: "Tracing | None" = None,
    ) -> None:
        """`report` is told of an engine that failed."""
        cpus = available_cpus()
        self.latency, self.drawing = LatencyEstimator(), LatencyEstimator()
        self.queue = BatchQueue(cpus, settings.max_batch, metrics)
        self.workers = [Worker(self.queue, metrics, report, tracing) for _ in range(cpus)]
        self.executor = ThreadPoolExecutor(cpus, thread_name_prefix="executor")
        limits = Limits.of(settings.max_pixels, settings.max_bytes)
        self.codecs = CodecPool(cpus, settings.max_pixels, limits, metrics)
        self.pipeline = Pipeline(self.executor, self.codecs, self.queue, self.latency, self.drawing)
        self.watchdog = Watchdog(self.workers, settings.stall_seconds)

    def start(self) -> None:
        """In the event loop."""
        for worker in self.workers:
            worker.start()
        self.codecs.start()

    def stop(self) -> None:
        """Workers end by themselves, where their engine comes back."""
        self.codecs.stop()
        self.queue.close()
        self.executor.shutdown(wait=False, cancel_futures=True)

    def give_up(self, reason: str) -> None:
        """The engine has stalled: answer whoever waits for it."""
        error = EngineError(reason)
        self.queue.fail(error)
        for worker in self.workers:
            for tile in worker.current or []:
                with suppress(InvalidStateError):  # it has come back after all
                    tile.answer.set_exception(error)
