"""How long a new image would take, estimated from how long images of its kind took."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

MEMORY_SECONDS: Final = 5.0
"""How far back the speed is looked at: an older second of work counts for 1/e of it."""
WEIGHT: Final = 0.2
"""Of the newest image in the exponentially weighted means."""


@dataclass(frozen=True)
class Kind:
    """Images that cost alike: of one model's version, and of about one size."""

    model: tuple[str, int]
    size: int
    """Bit length of the number of bytes that were sent: what lies between two powers of two is one kind."""

    @staticmethod
    def of(model: tuple[str, int], size: int) -> "Kind":
        """`size`: in bytes."""
        return Kind(model, size.bit_length())


@dataclass(frozen=True)
class Cost:
    """Of an image, or by exponentially weighted means of a kind of image, in seconds."""

    cost_seconds: float
    """Of work, its part of the batch's included: what it costs the others."""
    service_seconds: float
    """From its first step to its last, without waiting for others."""
    tiles: float = 1.0
    """Of its frame: what both grow with."""

    def smoothed(self, latest: "Cost") -> "Cost":
        return Cost(
            self.cost_seconds + WEIGHT * (latest.cost_seconds - self.cost_seconds),
            self.service_seconds + WEIGHT * (latest.service_seconds - self.service_seconds),
            self.tiles + WEIGHT * (latest.tiles - self.tiles),
        )

    def of(self, tiles: float) -> "Cost":
        """Of a frame of so many tiles."""
        share = tiles / self.tiles
        return Cost(self.cost_seconds * share, self.service_seconds * share, tiles)


class Work:
    """Images that are being worked on, and are ahead of those that come later. `end` may be called more than once."""

    def __init__(self, estimator: "LatencyEstimator", kind: Kind, images: int) -> None:
        cost = estimator._cost(kind)
        self.kind = kind
        self.images = images
        self.tiles: int | None = None
        """Of all the images' frames together; None: not known yet."""
        self.seconds = images * cost.cost_seconds if cost else 0.0
        self._estimator = estimator
        estimator._works[self] = None
        estimator._add(self.seconds, images)

    def weigh(self, tiles: int) -> None:
        """The images are decoded, and their frames have so many tiles together."""
        if self in self._estimator._works:
            cost = self._estimator._cost(self.kind)
            seconds = cost.of(tiles).cost_seconds if cost else 0.0
            self._estimator._add(seconds - self.seconds, 0)
            self.seconds, self.tiles = seconds, tiles

    def end(self) -> None:
        if self in self._estimator._works:
            del self._estimator._works[self]
            self._estimator._add(-self.seconds, -self.images)


class LatencyEstimator:
    """Work ahead × seconds that a second of work takes, plus the image's own time.

    That several threads or processes work side by side, or that something else slows them, shows in how fast images
    get done. For the event loop's thread alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._costs: dict[Kind, Cost] = {}
        self._works: dict[Work, None] = {}
        """In the order in which they came."""
        self._ahead = 0.0
        self._images = 0
        self._last = -math.inf
        self._busy = 0.0
        self._done = 0.0

    @property
    def pace(self) -> float:
        """Seconds that pass while a second of work is done, below 1 where several work on it; 1 while unknown."""
        return self._busy / self._done if self._done > 0 else 1.0

    def ahead(self) -> float:
        """Seconds until what is being worked on now is done."""
        return self._ahead * self.pace

    def image(self, kind: Kind) -> float:
        """Seconds between two images of a kind where nothing else is done; 0 while unknown."""
        cost = self._cost(kind)
        return cost.cost_seconds * self.pace if cost else 0.0

    def seconds(self, kind: Kind, images: int = 1) -> float:
        """From now to the answer, for images that come now. 0 while nothing is known, or nothing is being done: so one
        is tried at least, however slow the others were."""
        cost = self._cost(kind)
        if not self._images or cost is None:
            return 0.0
        return self.ahead() + cost.service_seconds + (images - 1) * cost.cost_seconds * self.pace

    def seconds_of(self, work: Work) -> float:
        """The same for work that holds its place already: what came after it isn't ahead."""
        cost = self._cost(work.kind)
        before = list(takewhile(lambda other: other is not work, self._works))
        if not before or cost is None:
            return 0.0
        if work.tiles is not None:
            cost = cost.of(work.tiles / work.images)
        own = cost.service_seconds + (work.images - 1) * cost.cost_seconds * self.pace
        return sum(other.seconds for other in before) * self.pace + own

    @contextmanager
    def work(self, kind: Kind, images: int = 1) -> Iterator[Work]:
        """Count images as ahead of those that come later, until the end of the block or that of the work."""
        work = Work(self, kind, images)
        try:
            yield work
        finally:
            work.end()

    def learn(self, kind: Kind, cost: Cost, seconds: float) -> None:
        """An image is done, `seconds` after it was begun. Since the one before it was done, or since then if that is
        later, its cost's worth of work was done."""
        now = self._clock()
        self._costs[kind] = known = self._costs.get(kind, cost).smoothed(cost)
        elapsed = min(now - self._last, seconds)
        kept = math.exp(-elapsed / MEMORY_SECONDS)
        self._busy = self._busy * kept + elapsed
        self._done = self._done * kept + known.cost_seconds
        self._last = now

    def _cost(self, kind: Kind) -> Cost | None:
        """Of the kind, else of its model's images of the nearest size."""
        if kind in self._costs:
            return self._costs[kind]
        others = [other for other in self._costs if other.model == kind.model]
        nearest = min(others, key=lambda other: abs(other.size - kind.size), default=None)
        return self._costs[nearest] if nearest else None

    def _add(self, seconds: float, images: int) -> None:
        self._images += images
        self._ahead = self._ahead + seconds if self._images else 0.0  # no remainder of rounding
