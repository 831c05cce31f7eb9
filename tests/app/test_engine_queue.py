"""The queue by itself."""

import threading
from pathlib import Path

import numpy as np
import pytest

from app.engine_queue import EngineQueue
from app.metrics import Metrics
from tests.app.conftest import FakeEngine, fake_detector

PIXELS = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def queue() -> EngineQueue:
    return EngineQueue(Metrics())


def test_cancelled_jobs_are_not_taken(queue: EngineQueue, store: Path) -> None:
    detector = fake_detector(store, FakeEngine())
    first, second = (queue.put(detector, PIXELS) for _ in range(2))
    first.cancel()
    assert [job.answer for job in queue.take(8)] == [second]
    assert not second.cancel()


def test_take_waits_past_cancelled_jobs(queue: EngineQueue, store: Path) -> None:
    detector = fake_detector(store, FakeEngine())
    queue.put(detector, PIXELS).cancel()
    taken: list[int] = []
    taker = threading.Thread(target=lambda: taken.append(len(queue.take(8))))
    taker.start()
    queue.put(detector, PIXELS)
    taker.join(10)
    assert taken == [1]


def test_close_ends_take(queue: EngineQueue) -> None:
    queue.close()
    assert queue.take(8) == []
