"""How long a new image would take, told from how long others took."""

import math
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

MEMORY_SECONDS: Final = 5.0
"""How far back the speed is looked at: an older second of work counts for 1/e of it."""
WEIGHT: Final = 0.2
"""Of the newest image in the smoothed times."""


@dataclass(frozen=True)
class Times:
    """Seconds that one image took, or images take by and large."""

    share: float
    """Of decoding, its part of the batch, and rendering: what it costs the others."""
    alone: float
    """From its first step to its last, without waiting for the network."""

    def smoothed(self, latest: "Times") -> "Times":
        return Times(
            self.share + WEIGHT * (latest.share - self.share),
            self.alone + WEIGHT * (latest.alone - self.alone),
        )


class Forecast:
    """Work ahead × seconds that a second of work takes, plus the image's own time.

    Every model has its own times. That they are done side by side by several threads, or that something else slows
    them, shows in how fast images get done. For the event loop's thread alone.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[Hashable, Times] = {}
        self._ahead = 0.0
        self._images = 0
        self._last = -math.inf
        self._busy = 0.0
        self._done = 0.0

    @property
    def pace(self) -> float:
        """Seconds that pass while a second of work is done, below 1 where threads share it; 1 while unknown."""
        return self._busy / self._done if self._done > 0 else 1.0

    def ahead(self) -> float:
        """Seconds until what is being worked on now is done."""
        return self._ahead * self.pace

    def image(self, model: Hashable) -> float:
        """Seconds between two images of `model` where nothing else is done; 0 while unknown."""
        return self._times[model].share * self.pace if model in self._times else 0.0

    def seconds(self, model: Hashable) -> float:
        """From now to the answer, for an image that comes now. 0 while nothing is known, or nothing is being done:
        so one is tried at least, however slow the others were."""
        if not self._images or model not in self._times:
            return 0.0
        return self.ahead() + self._times[model].alone

    @contextmanager
    def work(self, model: Hashable, images: int = 1) -> Iterator[None]:
        """Count images as ahead of those that come later."""
        seconds = images * self._times[model].share if model in self._times else 0.0
        self._ahead += seconds
        self._images += images
        try:
            yield
        finally:
            self._images -= images
            self._ahead = self._ahead - seconds if self._images else 0.0  # no remainder of rounding

    def learn(self, model: Hashable, times: Times, seconds: float) -> None:
        """An image is done, `seconds` after it was begun. Since the one before it was done, or since then if that is
        later, its share of work was done."""
        now = self._clock()
        self._times[model] = self._times.get(model, times).smoothed(times)
        elapsed = min(now - self._last, seconds)
        kept = math.exp(-elapsed / MEMORY_SECONDS)
        self._busy = self._busy * kept + elapsed
        self._done = self._done * kept + self._times[model].share
        self._last = now
