"""What a model said of an image that it had not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evidence import HeatmapScale
from model.verdict import Decision, Label, Thresholds, sigmoid
from training.data.samples import Sample


@dataclass(frozen=True, eq=False)
class Prediction:
    """One held-out image's verdict and map, with the levels by which they are read."""

    sample: Sample
    log_odds: float
    """After calibration, at the share of defects that the calibration holds at."""
    thresholds: Thresholds
    evidence: NDArray[np.float32]
    """The evidence map h×w, in the network's own log-odds."""
    scale: HeatmapScale
    """Of the network that judged."""
    shift: float = 0.0
    """Log-odds that the line's own share of defects adds (see `model.verdict.prior_shift`)."""
    fold: int = 0

    @property
    def probability(self) -> float:
        """Of anomaly, at the line's share of defects."""
        return sigmoid(self.log_odds + self.shift)

    @property
    def decision(self) -> Decision:
        return self.thresholds.decision_of(self.probability)

    @property
    def label(self) -> Label:
        return self.thresholds.label_of(self.probability)

    @property
    def is_right(self) -> bool:
        return (self.label == "anomaly") == self.sample.is_anomaly
