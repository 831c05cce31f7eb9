"""Batches that don't come back, on a clock that the test turns."""

from dataclasses import dataclass

import pytest

from app.watchdog import Watchdog


@dataclass
class FakeLane:
    current: object | None = None
    slowest: float = 0.0


def look(watch: Watchdog, since: float, seconds: float) -> str:
    """Ten times a second; what the last look says."""
    said = ""
    for tick in range(round(10 * seconds) + 1):
        said = watch.hung(since + tick / 10)
    return said


def test_idle_lanes_do_not_hang() -> None:
    assert look(Watchdog([FakeLane(), FakeLane()], 5), 1e6, 100) == ""


def test_a_batch_has_the_floor() -> None:
    watch = Watchdog([FakeLane(), FakeLane(current=[1])], 5)
    assert look(watch, 0, 4.8) == ""
    assert look(watch, 4.9, 0.5) == "engine lane 2 has not come back from a batch for 5 s"


def test_a_batch_has_ten_times_the_slowest() -> None:
    watch = Watchdog([FakeLane(current=[1], slowest=2)], 5)
    assert look(watch, 0, 19.5) == ""
    assert look(watch, 19.6, 1) != ""


def test_every_batch_counts_for_itself() -> None:
    lane = FakeLane()
    watch = Watchdog([lane], 5)
    for batch in range(10):
        lane.current = [batch]
        assert look(watch, 4 * batch, 3.9) == ""


@pytest.mark.parametrize("pause", [10.0, 1e9])
def test_a_pause_of_the_whole_process_is_no_hang(pause: float) -> None:
    watch = Watchdog([FakeLane(current=[1])], 5)
    assert look(watch, 0, 3) == ""
    assert look(watch, 3 + pause, 0.5) == ""
    assert look(watch, 4 + pause, 3) != ""
