"""Sees engines that don't come back: a call into a device can't be broken off, only the process ended."""

from collections.abc import Sequence
from typing import Final, Protocol

PATIENCE: Final = 10.0
"""A batch may take so many times as long as the slowest so far."""
STEP_SECONDS: Final = 1.0
"""What one look counts for at most: a process that was paused as a whole has not hung."""


class Watched(Protocol):
    """What of a lane is looked at."""

    @property
    def current(self) -> object | None:
        """The batch in the network."""

    @property
    def slowest(self) -> float:
        """Seconds of the slowest batch."""


class Watchdog:
    """Looks at lanes. Every batch has `floor` seconds, however quick others were."""

    def __init__(self, lanes: Sequence[Watched], floor: float) -> None:
        self._lanes = lanes
        self._floor = floor
        self._batches: list[object | None] = [None] * len(lanes)
        self._busy = [0.0] * len(lanes)
        self._looked_at = 0.0

    def hung(self, now: float) -> str:
        """Say which lane hangs; empty: none. To be called some times a second, with a clock that never jumps."""
        step = min(now - self._looked_at, STEP_SECONDS)
        self._looked_at = now
        for number, lane in enumerate(self._lanes):
            same = lane.current is not None and lane.current is self._batches[number]
            self._batches[number] = lane.current
            self._busy[number] = self._busy[number] + step if same else 0.0
            if self._busy[number] > max(self._floor, PATIENCE * lane.slowest):
                return f"engine lane {number + 1} has not come back from a batch for {self._busy[number]:.0f} s"
        return ""
