"""Points of every curve of a report, from its predictions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from model.figures import Estimate, Figures
from model.verdict import sigmoid
from training.evaluation.calibration import BINS
from training.evaluation.intervals import rate
from training.evaluation.prediction import Prediction

Floats = NDArray[np.float64]
_BARS: Final = 40
FARTHEST: Final = 11.5
"""Log-odds of 0.99999: scores and thresholds beyond are drawn here."""


@dataclass(frozen=True)
class Roc:
    """A point for each threshold that matters, from the strictest on."""

    false_reject_rate: list[float]
    detection_rate: list[float]


@dataclass(frozen=True)
class PrecisionRecall:
    """Share of rejected parts that are defective, by the share of defects found."""

    detection_rate: list[float]
    precision: list[float]
    """Precision at the measured images' defect rate."""
    line_precision: list[float] | None
    """Precision at the production line's defect rate; None where that isn't given."""


@dataclass(frozen=True)
class Cost:
    """Cost of errors in 1,000 parts, in good parts rejected, over the threshold."""

    defect_rate: float
    ratio: float
    log_odds: list[float]
    """Thresholds, ascending; a cost holds from the threshold before (excluded) up to its own."""
    cost: list[float]
    accept_all: float
    reject_all: float
    chosen: float
    """Cost at the label thresholds that were used, which may differ from fold to fold."""


@dataclass(frozen=True)
class Histogram:
    """Counts of good and defective images with log-odds between neighbouring edges."""

    edges: list[float]
    good: list[int]
    anomaly: list[int]


@dataclass(frozen=True)
class ReliabilityBin:
    """Images of neighbouring probabilities, at the calibration's defect rate."""

    probability: float
    """Mean of their probabilities."""
    anomalies: Estimate
    """The share of anomalies among them."""
    images: int


@dataclass(frozen=True)
class Curves:
    """All curves of a report."""

    roc: Roc
    precision_recall: PrecisionRecall
    cost: Cost
    scores: Histogram
    reliability: list[ReliabilityBin]


def trace(
    predictions: Sequence[Prediction], figures: Figures, *, defect_rate: float | None, cost_ratio: float
) -> Curves:
    """All curves of predictions and of the figures measured on them."""
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    scores = np.array([prediction.log_odds + prediction.shift for prediction in predictions])
    false, found, thresholds = (np.asarray(column, np.float64) for column in roc_curve(truth, scores))
    chosen = (figures.false_positives / (~truth).sum(), figures.false_negatives / truth.sum())
    return Curves(
        roc=Roc(false.tolist(), found.tolist()),
        precision_recall=_precision_recall(truth, scores, false, found, defect_rate),
        cost=_cost(thresholds, false, found, chosen, defect_rate or float(truth.mean()), cost_ratio),
        scores=_histogram(truth, scores),
        reliability=_reliability(truth, np.array([sigmoid(prediction.log_odds) for prediction in predictions])),
    )


def precision_at(defect_rate: float, found: Floats, false: Floats) -> Floats:
    """Share of rejected parts that are defective; 1 where nothing is rejected."""
    hits, alarms = defect_rate * found, (1.0 - defect_rate) * false
    return np.divide(hits, hits + alarms, out=np.ones_like(hits), where=hits + alarms > 0)


def _precision_recall(
    truth: NDArray[np.bool_], scores: Floats, false: Floats, found: Floats, defect_rate: float | None
) -> PrecisionRecall:
    precision, recall, _ = precision_recall_curve(truth, scores, drop_intermediate=True)
    if defect_rate is None:
        return PrecisionRecall(recall.tolist(), precision.tolist(), None)
    # At the same detection rates: the lowest false-reject rate that finds so many.
    lowest = np.array([false[found >= share - 1e-12].min() for share in recall])
    line = precision_at(defect_rate, recall, lowest)
    return PrecisionRecall(recall.tolist(), precision.tolist(), line.tolist())


def _cost(
    thresholds: Floats, false: Floats, found: Floats, chosen: tuple[float, float], defect_rate: float, ratio: float
) -> Cost:
    def of(false_rejects: Floats, misses: Floats) -> Floats:
        return 1000.0 * ((1.0 - defect_rate) * false_rejects + defect_rate * ratio * misses)

    costs = of(false, 1.0 - found)[::-1]
    return Cost(
        defect_rate=defect_rate,
        ratio=ratio,
        log_odds=np.clip(thresholds[::-1], -FARTHEST, FARTHEST).tolist(),
        cost=costs.tolist(),
        accept_all=1000.0 * defect_rate * ratio,
        reject_all=1000.0 * (1.0 - defect_rate),
        chosen=float(of(*np.array(chosen))),
    )


def _histogram(truth: NDArray[np.bool_], scores: Floats) -> Histogram:
    """Bars of equal width; the outermost hold everything beyond them."""
    inside = np.clip(scores, -FARTHEST, FARTHEST)
    low, high = math.floor(inside.min()), math.ceil(inside.max())
    edges = np.linspace(low, max(high, low + 1), _BARS + 1)
    good, anomaly = np.histogram(inside[~truth], edges)[0], np.histogram(inside[truth], edges)[0]
    return Histogram(edges.tolist(), good.tolist(), anomaly.tolist())


def _reliability(truth: NDArray[np.bool_], probabilities: Floats) -> list[ReliabilityBin]:
    """Equal-mass bins. Images of equal probability count as what they are on average, so that their order doesn't show:
    then the mean gap between probability and share is `training.evaluation.calibration.calibration_error`.
    """
    _, groups, sizes = np.unique(probabilities, return_inverse=True, return_counts=True)
    shares = (np.bincount(groups, weights=truth) / sizes)[groups]
    order = np.argsort(probabilities, kind="stable")
    count = len(order)
    bin_of = np.arange(count) * min(BINS, count) // count
    bins = []
    for members in np.split(order, np.flatnonzero(np.diff(bin_of)) + 1):
        share = float(shares[members].mean())
        near = rate(round(share * len(members)), len(members))
        estimate = Estimate(share, min(share, near.low), max(share, near.high))
        bins.append(ReliabilityBin(float(probabilities[members].mean()), estimate, len(members)))
    return bins
