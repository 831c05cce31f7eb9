"""Images waiting for one device, taken greedily by its workers: threads that run the network."""

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


@dataclass(frozen=True)
class EngineResult:
    """The network's output for one image, and how long it took."""

    map: NDArray[np.float32]
    features: NDArray[np.float32]
    began: float
    """When its batch went into the network, by time.perf_counter."""
    queue_seconds: float
    predict_seconds: float
    """Of the whole batch."""
    batch: int
    """Images in it."""


@dataclass(frozen=True, eq=False)
class QueuedImage:
    """One image for one detector. Cancelling `answer` takes it out of the queue: nobody waits any more."""

    detector: Detector
    pixels: NDArray[np.uint8]
    answer: Future[EngineResult] = field(default_factory=Future)
    put_at: float = field(default_factory=time.perf_counter)
    record: RequestRecord | None = None
    """Of the request that it belongs to."""


@dataclass(frozen=True)
class Batch:
    """Images for one detector that go through the network together."""

    images: list[QueuedImage]
    exclusive: bool
    """No other batch of the device runs meanwhile: this one may use all of it."""


class BatchQueue:
    """No bounds of its own: app.inference.admission sees to it that not more wait than may.

    A batch has the device for itself where its engine asks for that, or where nothing else is queued or running: so an
    idle device answers soonest, and a busy one runs several batches at once, which gives more images a second.
    """

    def __init__(self, workers: int, max_batch: int, metrics: Metrics) -> None:
        self.max_batch = max_batch
        """Images in a batch at most; less from when the device had no memory for so many."""
        self._workers = workers
        self._metrics = metrics
        self._images: deque[QueuedImage] = deque()
        self._changed = threading.Condition()
        self._running = 0
        self._exclusive = False
        """Whether the one batch that runs has the device for itself."""
        self._closed = False
        self._failure: Exception | None = None

    def put(self, detector: Detector, pixels: NDArray[np.uint8]) -> Future[EngineResult]:
        """Queue one image, uint8 S×S×3. Cancel the answer to give it up."""
        image = QueuedImage(detector, pixels, record=current.get())
        with self._changed:
            if self._failure is not None:
                image.answer.set_exception(self._failure)
            else:
                self._images.append(image)
                self._metrics.queue_depth.set(len(self._images))
                self._changed.notify()
        return image.answer

    @contextmanager
    def batch(self) -> Iterator[Batch | None]:
        """Wait for an image that this worker may run now, then take it and what else is queued for its detector: its
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
            waiting, self._images = self._images, deque()
        for image in waiting:
            if image.answer.set_running_or_notify_cancel():
                image.answer.set_exception(error)

    def close(self) -> None:
        """Let every worker's `batch` return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> Batch | None:
        with self._changed:
            images: list[QueuedImage] = []
            while not images:
                self._changed.wait_for(lambda: self._closed or self._may_run())
                if self._closed:
                    return None
                images = self._pick(self.max_batch)
            self._metrics.queue_depth.set(len(self._images))
            self._exclusive = not self._running and (not self._images or self._must_be_exclusive(images[0]))
            self._running += 1
            return Batch(images, self._exclusive)

    def _end(self) -> None:
        with self._changed:
            self._running -= 1
            self._exclusive = False
            self._changed.notify_all()

    def _may_run(self) -> bool:
        if not self._images or self._exclusive:
            return False
        return not self._running or not self._must_be_exclusive(self._images[0])

    def _must_be_exclusive(self, image: QueuedImage) -> bool:
        return image.detector.engine.max_concurrency < self._workers

    def _pick(self, limit: int) -> list[QueuedImage]:
        """Of the first detector in the queue. Empty: all were cancelled."""
        picked: list[QueuedImage] = []
        others: deque[QueuedImage] = deque()
        for image in self._images:
            if picked and (len(picked) == limit or image.detector is not picked[0].detector):
                others.append(image)
            elif image.answer.set_running_or_notify_cancel():
                picked.append(image)
                limit = min(limit, image.detector.engine.preferred_batch_size)
        self._images = others
        return picked
