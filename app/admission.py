"""Who is let in: as many requests as there are places, and none that can't be answered in time."""

import math
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final

from app.errors import DeadlineUnreachableError, QueueFullError
from app.forecast import Forecast
from app.metrics import Metrics

CAUTION: Final = 1.25
"""A forecast is the middle of what may happen; it must leave this much room before the deadline."""


class Admission:
    """`places` requests are worked on at most, and `places` × `max_bytes` of bodies are in memory.

    A body that is still arriving holds no place, only its bytes: slow senders keep nobody out. For the event loop's
    thread alone.
    """

    def __init__(self, places: int, max_bytes: int, forecast: Forecast, metrics: Metrics) -> None:
        self._free = places
        self._free_bytes = places * max_bytes
        self._forecast = forecast
        self._metrics = metrics

    def check(self, model: Hashable, seconds: float) -> None:
        """Whether a request to `model` that must be answered in `seconds` would be let in now.

        Raises QueueFullError or DeadlineUnreachableError.
        """
        if self._free == 0:
            wait = self._forecast.image(model) or 1.0
            raise QueueFullError("as many requests as allowed are being worked on", _milliseconds(wait))
        expected = CAUTION * self._forecast.seconds(model)
        if expected > seconds:
            raise DeadlineUnreachableError(
                f"of the deadline {_milliseconds(seconds)} ms are left, but at the present speed an answer takes "
                f"{_milliseconds(expected)} ms",
                _milliseconds(expected - seconds),
            )

    @contextmanager
    def place(self, model: Hashable, seconds: float) -> Iterator[None]:
        """Hold one of the places. Raises what `check` raises."""
        self.check(model, seconds)
        self._free -= 1
        self._metrics.in_progress.inc()
        try:
            with self._forecast.work(model):
                yield
        finally:
            self._free += 1
            self._metrics.in_progress.dec()

    @contextmanager
    def body(self) -> Iterator["Body"]:
        """Account for one body while it is in memory."""
        body = Body(self)
        try:
            yield body
        finally:
            self._free_bytes += body.size

    def take_bytes(self, size: int) -> None:
        """Raises QueueFullError."""
        if size > self._free_bytes:
            raise QueueFullError("as many bytes of requests as allowed are in memory", 1000)
        self._free_bytes -= size


class Body:
    """How much of the memory for bodies one of them has."""

    def __init__(self, admission: Admission) -> None:
        self.size = 0
        self._admission = admission

    def grow(self, size: int) -> None:
        """Raises QueueFullError."""
        self._admission.take_bytes(size)
        self.size += size


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(1000 * seconds))
