"""A model's prediction for an image that it had not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evidence import HeatmapScale
from model.verdict import Decision, Label, Thresholds, sigmoid
from training.data.samples import Sample


@dataclass(frozen=True, eq=False)
class Prediction:
    """One held-out image's log-odds and evidence map, with what turns them into verdict and heatmap."""

    sample: Sample
    log_odds: float
    """After calibration, at the calibration's defect rate."""
    thresholds: Thresholds
    evidence: NDArray[np.float32]
    """The evidence map h×w, in the network's own log-odds: pooled and calibrated it is the verdict."""
    heatmap_scale: HeatmapScale
    """What renders it as a heatmap: the predicting network's, moved by what its image head says of this image beyond
    what heatmaps show."""
    shift: float = 0.0
    """Log-odds that the production line's defect rate adds (see `model.verdict.prior_shift`)."""
    fold: int = 0
    """The fold whose models predicted it."""
    inspectable: bool = True
    """Whether the gate lets the image pass, where it was asked."""
    head: float = 0.0
    """What of the evidence is the image head's, where an exported network told."""
    distance: float = 0.0
    """How far the image looks from the others (`model.appearance`); 0: not known."""

    @property
    def probability(self) -> float:
        """Probability of anomaly, at the production line's defect rate."""
        return sigmoid(self.log_odds + self.shift)

    @property
    def decision(self) -> Decision:
        return self.thresholds.decision_of(self.probability) if self.inspectable else "review"

    @property
    def label(self) -> Label:
        return self.thresholds.label_of(self.probability)

    @property
    def is_correct(self) -> bool:
        return (self.label == "anomaly") == self.sample.is_anomaly
