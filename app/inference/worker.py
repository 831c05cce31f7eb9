"""A thread that runs batches through the network."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from app.inference.batch_queue import BatchQueue, EngineResult, QueuedTile
from app.monitoring.metrics import Metrics
from model.detector import Detector
from model.engines.engine import Engine
from model.engines.output import NetworkOutput, concatenate
from model.errors import DeviceMemoryError, EngineError

if TYPE_CHECKING:
    from app.monitoring.tracing import Tracing

log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """Takes what is queued and waits for nothing.

    `current` is the batch in the network, None between two; `slowest` the seconds of the slowest so far.
    """

    def __init__(
        self,
        queue: BatchQueue,
        metrics: Metrics,
        report: Callable[[Detector], None],
        tracing: "Tracing | None",
    ) -> None:
        """`report` is told of an engine that failed."""
        super().__init__(name="engine worker", daemon=True)
        self.current: list[QueuedTile] | None = None
        self.slowest = 0.0
        self._queue = queue
        self._metrics = metrics
        self._report = report
        self._tracing = tracing

    def run(self) -> None:
        running = True
        while running:
            with self._queue.batch() as batch:
                running = batch is not None
                if batch:
                    self.current = batch.tiles
                    self._answer(batch.tiles, batch.exclusive)
                    self.current = None
            del batch  # its detector may be of a version that is gone: a waiting worker keeps nothing

    def _answer(self, batch: list[QueuedTile], exclusive: bool) -> None:
        began = time.perf_counter()
        self._metrics.batch_size.observe(len(batch))
        detector = batch[0].detector
        try:
            output = self._run(detector.running, np.stack([tile.pixels for tile in batch]), exclusive)
        except Exception as error:  # noqa: BLE001  # raised again by every request that waits; the worker goes on
            if isinstance(error, EngineError):
                log.error("a batch of %d failed: %s", len(batch), error)
            if isinstance(error, EngineError) and not isinstance(error, DeviceMemoryError):
                self._report(detector)
            for tile in batch:
                with suppress(InvalidStateError):  # the service gave up waiting
                    tile.answer.set_exception(error)
            return
        took = time.perf_counter() - began
        self.slowest = max(self.slowest, took)
        if self._tracing:
            self._tracing.batch([tile.record for tile in batch], began, took)
        for tile, own in zip(batch, output.split(), strict=True):
            with suppress(InvalidStateError):
                tile.answer.set_result(EngineResult(own, began, began - tile.put_at, took, len(batch)))

    def _run(self, engine: Engine, pixels: NDArray[np.uint8], exclusive: bool) -> NetworkOutput:
        """Where the device has no memory for all, in two halves; batches stay that small from then on."""
        try:
            return engine.run(pixels, exclusive=exclusive)
        except DeviceMemoryError as error:
            half = len(pixels) // 2
            if half == 0:
                raise
            log.warning("%s: batches have %d tiles at most from now on", error, half)
            self._queue.max_batch = min(self._queue.max_batch, half)
        return concatenate([self._run(engine, part, exclusive) for part in (pixels[:half], pixels[half:])])
