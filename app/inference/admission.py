"""Who is admitted: as many requests as there are slots, and none that can't be answered in time."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from app.errors import DeadlineUnreachableError, QueueFullError
from app.inference.latency_estimator import Kind, LatencyEstimator, Work
from app.monitoring.metrics import Metrics

SAFETY_FACTOR: Final = 1.25
"""An estimate is the middle of what may happen; it must leave this much room before the deadline."""


@dataclass(frozen=True)
class Admitted:
    """A request that holds a slot."""

    kind: Kind
    until: float
    """When its time is up, on the event loop's clock."""
    work: Work
    """All but drawing an overlay."""
    check_tiles: Callable[[Work, Sequence[int], int, float], None] | None = None
    """See `weigh`. None: nobody asks."""

    def weigh(self, tiles: Sequence[int], ordinary: int, seconds: float) -> None:
        """Its images are decoded, and their frames have so many `tiles` each; those of training's images had
        `ordinary`. It has `seconds` left. Raises QueueFullError or DeadlineUnreachableError."""
        self.work.weigh(sum(tiles))
        if self.check_tiles:
            self.check_tiles(self.work, tiles, ordinary, seconds)


class Admission:
    """`slots` requests are worked on at most, and `slots` × `max_bytes` of bodies are in memory.

    A frame that has more tiles than training's takes as many slots as it is times as large, at most all of them: so
    memory for frames is bounded, too. That, and whether it can be done in time, is asked once it is decoded. A body
    that is still arriving holds no slot, only its bytes: slow senders keep nobody out. For the event loop's
    thread alone.
    """

    def __init__(
        self,
        slots: int,
        max_bytes: int,
        latency: LatencyEstimator,
        drawing: LatencyEstimator,
        metrics: Metrics,
    ) -> None:
        """`drawing`: of overlays, for which nobody else waits."""
        self._slots = slots
        self._free = slots
        self._free_bytes = slots * max_bytes
        self._latency = latency
        self._drawing = drawing
        self._metrics = metrics

    def check(self, kind: Kind, seconds: float, *, overlay: bool = False) -> None:
        """Whether a request that must be answered in `seconds` would be let in now.

        Raises QueueFullError or DeadlineUnreachableError.
        """
        if self._free <= 0:
            raise self._full(kind)
        self.check_time(kind, seconds, overlay=overlay)

    def check_time(self, kind: Kind, seconds: float, *, overlay: bool = False, images: int = 1) -> None:
        """The same, where it holds a slot already."""
        drawing = self._drawing.seconds(kind) if overlay else 0.0
        _check(SAFETY_FACTOR * (self._latency.seconds(kind, images) + drawing), seconds)

    @contextmanager
    def slot(self, kind: Kind, until: float, seconds: float, *, overlay: bool = False) -> Iterator[Admitted]:
        """Hold one of the slots for a request that has `seconds` left `until` then. Raises what `check` raises."""
        self.check(kind, seconds, overlay=overlay)
        held = 1
        self._free -= held
        self._metrics.in_progress.inc()

        def check_tiles(work: Work, tiles: Sequence[int], ordinary: int, seconds: float) -> None:
            nonlocal held
            more = min(1 + sum(-(-each // ordinary) - 1 for each in tiles), self._slots) - held
            if more > self._free:
                raise self._full(kind)
            _check(SAFETY_FACTOR * self._latency.seconds_of(work), seconds)
            self._free -= more
            held += more

        try:
            with self._latency.work(kind) as work:
                yield Admitted(kind, until, work, check_tiles)
        finally:
            self._free += held
            self._metrics.in_progress.dec()

    def _full(self, kind: Kind) -> QueueFullError:
        wait = self._latency.image(kind) or 1.0
        return QueueFullError("as many requests as allowed are being worked on", _milliseconds(wait))

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


def _check(expected: float, seconds: float) -> None:
    """Raise DeadlineUnreachableError where an answer is expected later than the `seconds` that are left."""
    if expected > seconds:
        raise DeadlineUnreachableError(
            f"of the deadline {_milliseconds(seconds)} ms are left, but at the present speed an answer takes "
            f"{_milliseconds(expected)} ms",
            _milliseconds(expected - seconds),
        )


def _milliseconds(seconds: float) -> int:
    return max(1, math.ceil(1000 * seconds))
