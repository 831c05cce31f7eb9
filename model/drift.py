"""Control charts of a version: the held-out scores that its line's are held against, and the limits (docs/concepts.md).

A chart takes a value's standard normal score, by the bin of held-out values that it lies in, into a cumulative sum
(Page 1954) in whole steps, so that its run length is that of a Markov chain with as many states.
"""

from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from model.figures import Amount, Count

Quantity = Literal["log_odds", "appearance", "brightness", "sharpness"]
Direction = Literal["up", "down"]
STEPS_PER_DEVIATION: Final = 20
"""Scores, allowance and limits are whole steps: a twentieth of a standard deviation."""


@dataclass(frozen=True)
class Chart:
    """One quantity's control chart. Bin i lies from `edges[i − 1]`, which belongs to it, to below `edges[i]`."""

    edges: list[float]
    """Ascending; the outermost bins have no end."""
    counts: Annotated[list[Count], msgspec.Meta(min_length=1)]
    """Held-out values in each bin, one more than edges."""
    scores: list[int]
    """Of each bin: the standard normal quantile of its middle among the held-out values, in steps."""
    allowance: Annotated[int, msgspec.Meta(ge=1)]
    """What is taken from every score, in steps: a change of twice as much is found soonest (Page's reference value)."""
    limits: dict[Direction, Annotated[int, msgspec.Meta(ge=1)]]
    """Sum from which there is an alarm, in steps; a direction that isn't there isn't watched."""
    median: float
    """Of the held-out values, and their standard deviation: for people."""
    deviation: Amount
    below: float | None = None
    """Only values below this count; None: all."""

    def __post_init__(self) -> None:
        if not len(self.edges) + 1 == len(self.counts) == len(self.scores) or sorted(self.edges) != self.edges:
            raise ValueError("a chart needs ascending edges, and one more count and score than edges")

    def step(self, value: float, direction: Direction) -> int:
        """What the value adds to the sum of that direction, in steps."""
        score = self.scores[bisect_right(self.edges, value)]
        return (score if direction == "up" else -score) - self.allowance


@dataclass(frozen=True)
class Drift:
    """All charts of a version."""

    parts_per_false_alarm: Annotated[int, msgspec.Meta(ge=1)]
    """Average number of parts, where nothing has changed, until any chart of the version gives an alarm."""
    charts: dict[Quantity, Chart]
    defect_log_odds: list[float]
    """Quantiles of the held-out real defects' calibrated log-odds, evenly; empty: there were none."""

    @property
    def alarms(self) -> int:
        """Directions of all charts, and missing rejects: each kind of alarm has an equal share of the false ones."""
        return sum(len(chart.limits) for chart in self.charts.values()) + bool(self.defect_log_odds)

    def rejected_defects(self, log_odds: float) -> float:
        """Share of the held-out defects whose log-odds reach this."""
        reaching = sum(value >= log_odds for value in self.defect_log_odds)
        return reaching / len(self.defect_log_odds) if self.defect_log_odds else 0.0
