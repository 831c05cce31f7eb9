"""A thread that runs batches through the network."""

import logging
import threading
import time

import numpy as np

from app.engine_queue import EngineQueue, Evidence, Job
from app.metrics import Metrics
from model.errors import EngineError

log = logging.getLogger(__name__)


class Lane(threading.Thread):
    """Takes what is queued and waits for nothing. An engine must not be run by two lanes at once."""

    def __init__(self, queue: EngineQueue, max_batch: int, metrics: Metrics) -> None:
        super().__init__(name="lane", daemon=True)
        self._queue = queue
        self._max_batch = max_batch
        self._metrics = metrics

    def run(self) -> None:
        while batch := self._queue.take(self._max_batch):
            self._answer(batch)

    def _answer(self, batch: list[Job]) -> None:
        began = time.perf_counter()
        self._metrics.batch_size.observe(len(batch))
        try:
            maps = batch[0].detector.engine.evidence(np.stack([job.pixels for job in batch]))
        except Exception as error:  # noqa: BLE001  # raised again by every request that waits; the lane goes on
            if isinstance(error, EngineError):
                log.error("a batch of %d failed: %s", len(batch), error)
            for job in batch:
                job.answer.set_exception(error)
            return
        took = time.perf_counter() - began
        for job, evidence in zip(batch, maps, strict=True):
            job.answer.set_result(Evidence(evidence, began - job.put_at, took, len(batch)))
