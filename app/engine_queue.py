"""Images waiting for one device, taken greedily by its lanes."""

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.metrics import Metrics
from model.detector import Detector


@dataclass(frozen=True)
class Evidence:
    """What the network said of one image, and how long it took."""

    map: NDArray[np.float32]
    queue_seconds: float
    predict_seconds: float
    """Of the whole batch."""
    batch: int
    """Images in it."""


@dataclass(frozen=True, eq=False)
class Job:
    """One image for one detector. Cancelling `answer` takes it out of the queue: nobody waits any more."""

    detector: Detector
    pixels: NDArray[np.uint8]
    answer: Future[Evidence] = field(default_factory=Future)
    put_at: float = field(default_factory=time.perf_counter)


class EngineQueue:
    """No bounds of its own: app.admission sees to it that not more wait than may."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._failure: Exception | None = None

    def put(self, detector: Detector, pixels: NDArray[np.uint8]) -> Future[Evidence]:
        """Queue one image, uint8 S×S×3. Cancel the answer to give it up."""
        job = Job(detector, pixels)
        with self._changed:
            if self._failure is not None:
                job.answer.set_exception(self._failure)
            else:
                self._jobs.append(job)
                self._metrics.queue_depth.set(len(self._jobs))
                self._changed.notify()
        return job.answer

    def take(self, limit: int) -> list[Job]:
        """Wait for an image, then take it and what else is queued for its detector, `limit` at most.

        Cancelled ones are dropped here. Empty: the queue is closed.
        """
        with self._changed:
            batch: list[Job] = []
            while not batch:
                self._changed.wait_for(lambda: self._jobs or self._closed)
                if self._closed:
                    return []
                batch = self._pick(limit)
            self._metrics.queue_depth.set(len(self._jobs))
            return batch

    def fail(self, error: Exception) -> None:
        """Answer all that wait, and all that come, with `error`."""
        with self._changed:
            self._failure = error
            waiting, self._jobs = self._jobs, deque()
        for job in waiting:
            if job.answer.set_running_or_notify_cancel():
                job.answer.set_exception(error)

    def close(self) -> None:
        """Let every lane's `take` return."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _pick(self, limit: int) -> list[Job]:
        batch: list[Job] = []
        others: deque[Job] = deque()
        for job in self._jobs:
            if len(batch) == limit or (batch and job.detector is not batch[0].detector):
                others.append(job)
            elif job.answer.set_running_or_notify_cancel():
                batch.append(job)
        self._jobs = others
        return batch
