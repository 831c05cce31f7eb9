"""Batches that don't come back, on a clock that the test turns."""

from dataclasses import dataclass

import pytest

from app.inference.watchdog import Watchdog


@dataclass
class FakeWorker:
    current: object | None = None
    slowest: float = 0.0


def watched(watchdog: Watchdog, since: float, seconds: float) -> str:
    """Ten times a second; what the last call says."""
    said = ""
    for tick in range(round(10 * seconds) + 1):
        said = watchdog.stalled(since + tick / 10)
    return said


def test_idle_workers_do_not_stall() -> None:
    assert watched(Watchdog([FakeWorker(), FakeWorker()], 5), 1e6, 100) == ""


def test_a_batch_has_the_floor() -> None:
    watchdog = Watchdog([FakeWorker(), FakeWorker(current=[1])], 5)
    assert watched(watchdog, 0, 4.8) == ""
    assert watched(watchdog, 4.9, 0.5) == "engine worker 2 has been stalled in a batch for 5 s"


def test_a_batch_has_ten_times_the_slowest() -> None:
    watchdog = Watchdog([FakeWorker(current=[1], slowest=2)], 5)
    assert watched(watchdog, 0, 19.5) == ""
    assert watched(watchdog, 19.6, 1) != ""


def test_every_batch_counts_for_itself() -> None:
    worker = FakeWorker()
    watchdog = Watchdog([worker], 5)
    for batch in range(10):
        worker.current = [batch]
        assert watched(watchdog, 4 * batch, 3.9) == ""


@pytest.mark.parametrize("pause", [10.0, 1e9])
def test_a_pause_of_the_whole_process_is_no_stall(pause: float) -> None:
    watchdog = Watchdog([FakeWorker(current=[1])], 5)
    assert watched(watchdog, 0, 3) == ""
    assert watched(watchdog, 3 + pause, 0.5) == ""
    assert watched(watchdog, 4 + pause, 3) != ""
