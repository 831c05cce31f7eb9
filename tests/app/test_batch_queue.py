"""The queue by itself."""

import threading
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest

from app.inference.batch_queue import BatchQueue, EngineResult
from app.monitoring.metrics import Metrics
from model.detector import Detector
from model.errors import EngineError
from tests.app.conftest import FakeEngine, fake_detector

PIXELS = np.zeros((64, 64, 3), np.uint8)


@pytest.fixture
def queue() -> BatchQueue:
    return BatchQueue(2, 8, Metrics())


@pytest.fixture
def detector(store: Path) -> Detector:
    """Of an engine that two workers may run at once, an image at a time."""
    return fake_detector(store, FakeEngine(max_concurrency=2, preferred_batch_size=1))


@pytest.fixture
def lonely(store: Path) -> Detector:
    """Of an engine that must be exclusive, and gains from batches of three."""
    return fake_detector(store, FakeEngine(max_concurrency=1, preferred_batch_size=3))


def taken(queue: BatchQueue, limit: int = 8) -> list[Future[EngineResult]]:
    queue.max_batch = limit
    with queue.batch() as batch:
        return [tile.answer for tile in batch.tiles] if batch else []


def test_cancelled_images_are_not_taken(queue: BatchQueue, lonely: Detector) -> None:
    first, second = (queue.put(lonely, PIXELS) for _ in range(2))
    first.cancel()
    assert taken(queue) == [second]
    assert not second.cancel()


def test_waits_past_cancelled_images(queue: BatchQueue, detector: Detector) -> None:
    queue.put(detector, PIXELS).cancel()
    found: list[int] = []
    taker = threading.Thread(target=lambda: found.append(len(taken(queue))))
    taker.start()
    queue.put(detector, PIXELS)
    taker.join(10)
    assert found == [1]


def test_a_failure_answers_all_that_wait_and_all_that_come(queue: BatchQueue, detector: Detector) -> None:
    cancelled, waiting = (queue.put(detector, PIXELS) for _ in range(2))
    cancelled.cancel()
    queue.fail(error := EngineError("the device is gone"))
    for answer in (waiting, queue.put(detector, PIXELS)):
        assert answer.exception(timeout=0) is error
    queue.close()
    assert taken(queue) == []


def test_close_ends_every_wait(queue: BatchQueue) -> None:
    queue.close()
    assert taken(queue) == []


@pytest.mark.parametrize(("limit", "sizes"), [(8, [3, 2]), (2, [2, 2, 1])])
def test_no_more_than_the_engine_gains_from(queue: BatchQueue, lonely: Detector, limit: int, sizes: list[int]) -> None:
    for _ in range(5):
        queue.put(lonely, PIXELS)
    assert [len(taken(queue, limit)) for _ in sizes] == sizes


def test_a_batch_is_of_one_detector(queue: BatchQueue, lonely: Detector, store: Path) -> None:
    other = fake_detector(store, FakeEngine(max_concurrency=1, preferred_batch_size=3))
    answers = [queue.put(detector, PIXELS) for detector in (lonely, other, lonely)]
    assert taken(queue) == [answers[0], answers[2]]
    assert taken(queue) == [answers[1]]


def test_the_only_image_has_the_device_for_itself(queue: BatchQueue, detector: Detector) -> None:
    queue.put(detector, PIXELS)
    with queue.batch() as batch:
        assert batch is not None
        assert batch.exclusive


def test_workers_share_the_device_while_more_is_queued(queue: BatchQueue, detector: Detector) -> None:
    for _ in range(3):
        queue.put(detector, PIXELS)
    with queue.batch() as first, queue.batch() as second:
        assert first is not None
        assert second is not None
        assert (first.exclusive, second.exclusive) == (False, False)
        assert len(first.tiles) == len(second.tiles) == 1
    with queue.batch() as last:
        assert last is not None
        assert last.exclusive


def test_an_engine_that_may_run_more_than_there_are_workers_is_shared_too(queue: BatchQueue, store: Path) -> None:
    detector = fake_detector(store, FakeEngine(max_concurrency=3, preferred_batch_size=1))
    for _ in range(2):
        queue.put(detector, PIXELS)
    with queue.batch() as batch:
        assert batch is not None
        assert not batch.exclusive


def test_one_that_came_later_shares_with_the_one_that_runs(queue: BatchQueue, detector: Detector) -> None:
    for _ in range(2):
        queue.put(detector, PIXELS)
    with queue.batch() as first:
        assert first is not None
        taken(queue)
        queue.put(detector, PIXELS)
        with queue.batch() as later:
            assert later is not None
            assert not later.exclusive


@pytest.mark.parametrize("kinds", [("detector", "detector"), ("lonely", "detector"), ("lonely", "lonely")])
def test_nothing_runs_beside_an_exclusive_batch(
    queue: BatchQueue, kinds: tuple[str, str], request: pytest.FixtureRequest
) -> None:
    first, second = (request.getfixturevalue(kind) for kind in kinds)
    queue.put(first, PIXELS)
    found: list[int] = []
    taker = threading.Thread(target=lambda: found.append(len(taken(queue))))
    with queue.batch() as batch:
        assert batch is not None
        assert batch.exclusive
        queue.put(second, PIXELS)
        taker.start()
        taker.join(0.1)
        assert taker.is_alive()
    taker.join(10)
    assert found == [1]


def test_an_exclusive_batch_waits_for_the_others(queue: BatchQueue, detector: Detector, lonely: Detector) -> None:
    for each in (detector, detector, lonely):
        queue.put(each, PIXELS)
    found: list[bool] = []

    def take_lonely() -> None:
        with queue.batch() as batch:
            assert batch is not None
            found.append(batch.exclusive)

    with queue.batch(), queue.batch():
        taker = threading.Thread(target=take_lonely)
        taker.start()
        taker.join(0.1)
        assert taker.is_alive()
    taker.join(10)
    assert found == [True]
