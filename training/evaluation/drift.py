"""Makes a version's control charts from held-out scores."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.drift import STEPS_PER_DEVIATION, Chart, Direction, Drift, Quantity
from training.evaluation.prediction import Prediction
from training.evaluation.run_length import limit_for
from training.synthetic.samples import KIND

Floats = NDArray[np.float64]

PARTS_PER_FALSE_ALARM: Final = 100_000
FEWEST_PARTS: Final = 100
MOST_PARTS: Final = 1_000_000_000
"""Least and greatest that may be asked for: beyond, rounding counts in the Markov chain's run length."""
LEAST: Final = 20
"""Held-out good images without which a quantity has no chart."""
BINS: Final = 50
SHIFT: Final = 1.0
"""The change that is to be found soonest, in standard deviations."""
DIRECTIONS: Final[Mapping[Quantity, tuple[Direction, ...]]] = {
    "log_odds": ("up", "down"),
    "appearance": ("up",),
    "brightness": ("up", "down"),
    "sharpness": ("up", "down"),
}


@dataclass(frozen=True)
class Binned:
    """Held-out values in bins of about as many each, and what they add to the sums."""

    edges: list[float]
    counts: list[int]
    scores: list[int]
    allowance: int

    @classmethod
    def of(cls, values: Floats) -> "Binned":
        """An image is in no bin of its own where values are tied: then the bins have unequal counts, as they are."""
        inner = np.quantile(values, np.arange(1, BINS) / BINS, method="inverted_cdf")
        edges = np.unique(inner[inner > values.min()])
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        middles = (np.cumsum(counts) - counts / 2) / len(values)
        scores = [round(STEPS_PER_DEVIATION * NormalDist().inv_cdf(middle)) for middle in middles.tolist()]
        return cls(edges.tolist(), counts.tolist(), scores, _allowance(len(values)))

    def steps(self, direction: Direction) -> dict[int, float]:
        """Probability of each step where nothing has changed: that of the held-out values."""
        sign, total = (1 if direction == "up" else -1), sum(self.counts)
        steps: Counter[int] = Counter()
        for count, score in zip(self.counts, self.scores, strict=True):
            steps[sign * score - self.allowance] += count
        return {step: count / total for step, count in steps.items()}


def fit_drift(
    predictions: Sequence[Prediction],
    accepted_below: float,
    measures: Mapping[Quantity, Floats],
    parts_per_false_alarm: int = PARTS_PER_FALSE_ALARM,
) -> Drift:
    """Charts of held-out images. `measures`: the other quantities, of good ones.

    References are the good images, for log-odds those that are accepted, below `accepted_below`: at a line's defect
    rate these are nearly all parts. A quantity with too few of them, or with one value alone, has no chart.
    """
    goods = np.array([each.log_odds for each in predictions if not each.sample.is_anomaly])
    defects = [each.log_odds for each in predictions if each.sample.is_anomaly and each.sample.kind != KIND]
    values: dict[Quantity, Floats] = {"log_odds": goods[goods < accepted_below], **measures}
    values = {name: each for name, each in values.items() if len(each) >= LEAST and np.ptp(each) > 0}
    alarms = sum(len(DIRECTIONS[name]) for name in values) + bool(defects)
    charts = {name: chart_of(each, DIRECTIONS[name], alarms * parts_per_false_alarm) for name, each in values.items()}
    if "log_odds" in charts and math.isfinite(accepted_below):
        charts["log_odds"] = replace(charts["log_odds"], below=accepted_below)
    return Drift(parts_per_false_alarm, charts, _quantiles(defects))


def chart_of(values: Floats, directions: Sequence[Direction], run_length: float) -> Chart:
    """A chart of held-out values, each of whose sums has at least this average run length."""
    binned = Binned.of(values)
    limits = {direction: limit_for(binned.steps(direction), run_length) for direction in directions}
    return Chart(
        binned.edges,
        binned.counts,
        binned.scores,
        binned.allowance,
        {direction: limit for direction, limit in limits.items() if limit is not None},
        float(np.median(values)),
        float(values.std()),
    )


def _allowance(count: int) -> int:
    """Half the change that is looked for, and one standard error of the reference's own mean: so that what chance did
    to few held-out images is not taken for drift (Jones, Champ & Rigdon 2004)."""
    return round(STEPS_PER_DEVIATION * (SHIFT / 2 + 1 / math.sqrt(count)))


def _quantiles(values: Sequence[float]) -> list[float]:
    if not values:
        return []
    count = min(BINS, len(values))
    levels = (np.arange(count) + 0.5) / count
    return [float(value) for value in np.quantile(values, levels)]
