"""Tiles waiting for one device, taken greedily by its workers: threads that run the network."""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.monitoring.metrics import Metrics
from app.monitoring.request_record import RequestRecord, current
from model.detector import Detector
from model.engines.output import NetworkOutput


@dataclass(frozen=True)
class EngineResult:
    """The network's output for one tile, and how long it took."""

    output: NetworkOutput
    """N = 1."""
    began: float
    """When its batch went into the network, by time.perf_counter."""
    queue_seconds: float
    predict_seconds: float
    """Of the whole batch."""
    batch: int
    """Tiles in it."""


@dataclass(frozen=True, eq=False)
class QueuedTile:
    """One tile for one detector. Cancelling `answer` takes it out of the queue: nobody waits any more."""

    detector: Detector
    pixels: NDArray[np.uint8]
    answer: Future[EngineResult] = field(default_factory=Future)
    put_at: float = field(default_factory=time.perf_counter)
    record: RequestRecord | None = None
    """Of the request that it belongs to."""


@dataclass(frozen=True)
class Batch:
    """Tiles for one detector that go through the network together."""

    tiles: list[QueuedTile]
    exclusive: bool
    """No other batch of the device runs meanwhile: this one may use all of it."""


class BatchQueue:
    """No bounds of its own: app.inference.admission sees to it that not more wait than may.

    A batch has the device for itself where its engine asks for that, or where nothing else is queued or running: so an
    idle device answers soonest, and a busy one runs several batches at once, which gives more tiles a second.
    """

    def __init__(self, workers: int, max_batch: int, metrics: Metrics) -> None:
        self.max_batch = max_batch
        """Tiles in a batch at most; less from when the device had no memory for so many."""
        self._workers = workers
        self._metrics = metrics
        self._tiles: deque[QueuedTile] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._exclusive = False
        """Whether the one batch that runs has the device for itself."""
        self._closed = False
        self._failure: Exception | None = None

    def put(self, detector: Detector, pixels: NDArray[np.uint8]) -> Future[EngineResult]:
        """Queue one tile, uint8 S×S×3. Cancel the answer to give it up."""
        tile = QueuedTile(detector, pixels, record=current.get())
        with self._changed:
            if self._failure is not None:
                tile.answer.set_exception(self._failure)
            else:
                self._tiles.append(tile)
                self._metrics.queue_depth.set(len(self._tiles))
                self._changed.notify()
        return tile.answer

    @contextmanager
    def batch(self) -> Iterator[Batch | None]:
        """Wait for a tile that this worker may run now, then take it and what else is queued for its detector: its
        engine's preferred batch size, `max_batch` at most. It counts as running until the end of the block.

        Cancelled ones are dropped here. None: the queue is closed.
        """
        batch = self._take()
        try:
            yield batch
        finally:
            if batch:
                self._end()

    def fail(self, error: Exception) -> None:
        """Answer all that wait, and all that come, with `error`."""
        with self._changed:
            self._failure = error
            waiting, self._tiles = self._tiles, deque()
        for tile in waiting:
            if tile.answer.set_running_or_notify_cancel():
                tile.answer.set_exception(error)

    def close(self) -> None:
        """Let every worker's `batch` return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> Batch | None:
        with self._changed:
            tiles: list[QueuedTile] = []
            while not tiles:
                self._changed.wait_for(lambda: self._closed or self._may_run())
                if self._closed:
                    return None
                tiles = self._pick(self.max_batch)
            self._metrics.queue_depth.set(len(self._tiles))
            self._exclusive = not self._running and (not self._tiles or self._must_be_exclusive(tiles[0]))
            self._running += 1
            return Batch(tiles, self._exclusive)

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._exclusive = False
            self._changed.notify_all()

    def _may_run(self) -> bool:
        if not self._tiles or self._exclusive:
            return False
        return not self._running or not self._must_be_exclusive(self._tiles[0])

    def _must_be_exclusive(self, tile: QueuedTile) -> bool:
        return tile.detector.running.max_concurrency < self._workers

    def _pick(self, limit: int) -> list[QueuedTile]:
        """Of the first detector in the queue. Empty: all were cancelled."""
        picked: list[QueuedTile] = []
        others: deque[QueuedTile] = deque()
        for tile in self._tiles:
            if picked and (len(picked) == limit or tile.detector.running is not picked[0].detector.running):
                others.append(tile)
            elif tile.answer.set_running_or_notify_cancel():
                picked.append(tile)
                limit = min(limit, tile.detector.running.preferred_batch_size)
        self._tiles = others
        return picked
