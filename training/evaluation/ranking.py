"""How well scores rank anomalies above good images, over all thresholds, for many weightings of the images at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Weights of good images and of anomalies at or above each distinct score, the highest first: both m×thresholds."""

    false_positives: Floats
    true_positives: Floats

    @staticmethod
    def of(scores: Floats, is_anomaly: NDArray[np.bool_], weights: Floats | None = None) -> "Ranking":
        """`weights` m×n: how often each of the n images counts, in m weightings; None: one, each counts once."""
        order = np.argsort(-scores, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        counted = np.ones((1, len(scores))) if weights is None else weights[:, order]
        above = np.cumsum(counted, axis=1)[:, ends]
        true_positives = np.cumsum(counted * is_anomaly[order], axis=1)[:, ends]
        return Ranking(above - true_positives, true_positives)

    def auroc(self) -> Floats:
        """Area under the ROC curve, m: the share of correctly ranked pairs, ties half."""
        steps = np.diff(self.false_positives, prepend=0.0)
        heights = self.true_positives - np.diff(self.true_positives, prepend=0.0) / 2
        return np.asarray((steps * heights).sum(axis=1) / (self.false_positives[:, -1] * self.true_positives[:, -1]))

    def average_precision(self) -> Floats:
        """Precision averaged over the anomalies, m, without interpolation, as scikit-learn's."""
        above = self.true_positives + self.false_positives
        precision = np.divide(self.true_positives, above, out=np.zeros_like(above), where=above > 0)
        steps = np.diff(self.true_positives, prepend=0.0)
        return np.asarray((steps * precision).sum(axis=1) / self.true_positives[:, -1])

    def miss_rate(self, false_reject_rate: float) -> Floats:
        """Share of anomalies, m, below the lowest threshold that rejects at most that share of good images."""
        allowed = np.floor(false_reject_rate * self.false_positives[:, -1:] + 1e-9)
        found = np.where(self.false_positives <= allowed, self.true_positives, 0.0).max(axis=1)
        return np.asarray(1.0 - found / self.true_positives[:, -1])
