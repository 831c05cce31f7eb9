"""Cumulative sums (Page 1954), and the run of parts without a reject: no I/O, no clock."""

import math
from datetime import UTC, datetime

import msgspec


class PartReference(msgspec.Struct, frozen=True):
    """Which part it was, and when."""

    at: float
    """Seconds since the epoch."""
    request_id: str
    part_id: str | None = None
    inference_id: str | None = None

    def __str__(self) -> str:
        named = {"part": self.part_id, "inference": self.inference_id, "request": self.request_id}
        kind, name = next((kind, name) for kind, name in named.items() if name)
        return f"{kind} {name} ({datetime.fromtimestamp(self.at, UTC).isoformat(timespec='seconds')})"


class Cusum(msgspec.Struct):
    """Sum of one quantity's steps in one direction, never below 0."""

    value: int = 0
    parts: int = 0
    """Since it was last 0: about since when something has changed, if it has."""
    total: float = 0.0
    """Of the quantity's values over these parts."""
    since: PartReference | None = None
    """The first of them."""

    def add(self, step: int, value: float, part: PartReference) -> None:
        after = self.value + step
        if after <= 0:
            self.restart()
            return
        if self.value == 0:
            self.since = part
        self.value = after
        self.parts += 1
        self.total += value

    def restart(self) -> None:
        self.value, self.parts, self.total, self.since = 0, 0, 0.0, None


class RunWithoutReject(msgspec.Struct):
    """Successive parts of which none was rejected."""

    parts: int = 0
    since: PartReference | None = None

    def add(self, part: PartReference, *, rejected: bool) -> None:
        if rejected:
            self.restart()
            return
        if self.parts == 0:
            self.since = part
        self.parts += 1

    def restart(self) -> None:
        self.parts, self.since = 0, None


def longest_run(probability: float, run_length: float) -> int | None:
    """Parts in a row without a reject from which there is an alarm, where each is rejected with this probability.

    The first run of N takes (q^−N − 1) / (1 − q) parts on average (Feller 1968, XIII.7): N is the least that takes
    `run_length`. None where no part is ever to be rejected, or each one.
    """
    if not 0.0 < probability < 1.0:
        return None
    return math.ceil(math.log1p(run_length * probability) / -math.log1p(-probability))
