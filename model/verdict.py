"""From pooled log-odds to what a production line acts on: probability, label, decision."""

import math
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

Label = Literal["good", "anomaly"]
Decision = Literal["accept", "review", "reject"]
CLASSES: Final[tuple[Label, Label]] = ("good", "anomaly")


def sigmoid(log_odds: float) -> float:
    """1/(1+e^−x), without overflow."""
    if log_odds >= 0:
        return 1.0 / (1.0 + math.exp(-log_odds))
    odds = math.exp(log_odds)
    return odds / (1.0 + odds)


def logit(probability: float) -> float:
    """log(p/(1−p)) for 0 < p < 1."""
    return math.log(probability) - math.log1p(-probability)


def threshold_log_odds(threshold: float) -> float:
    """Log-odds from which a probability reaches the threshold: logit, −∞ for 0 and ∞ for 1."""
    if 0.0 < threshold < 1.0:
        return logit(threshold)
    return math.inf if threshold >= 1.0 else -math.inf


@dataclass(frozen=True)
class Calibration:
    """Platt's sigmoid: p = sigmoid(slope·log-odds + offset) (Platt 1999). 1 and 0 leave the softmax as it is."""

    slope: float
    offset: float
    defect_rate: Annotated[float, msgspec.Meta(gt=0, lt=1)]
    """Share of anomalies among the images that it was fitted on, at which its probabilities hold."""

    def __call__(self, log_odds: float, shift: float = 0.0) -> float:
        """Calibrated log-odds; `shift` moves them to the production line's defect rate (see `prior_shift`)."""
        return self.slope * log_odds + self.offset + shift

    def inverse(self, log_odds: float) -> float:
        """What has these calibrated log-odds."""
        return (log_odds - self.offset) / self.slope


def prior_shift(calibrated_at: float, defect_rate: float | None) -> float:
    """Log-odds to add so that what holds at the defect rate `calibrated_at` holds at `defect_rate` (Bayes' theorem;
    Saerens et al. 2002, equation 2.4); 0 where that is None."""
    return 0.0 if defect_rate is None else logit(defect_rate) - logit(calibrated_at)


@dataclass(frozen=True)
class Thresholds:
    """Probabilities 0 ≤ review ≤ label ≤ reject ≤ 1: accept below review, reject from reject on, review between."""

    review: float = 0.5
    label: float = 0.5
    reject: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.review <= self.label <= self.reject <= 1.0:
            raise ValueError(f"thresholds must be 0 ≤ review ≤ label ≤ reject ≤ 1, not {self}")

    def label_of(self, probability: float) -> Label:
        return "anomaly" if probability >= self.label else "good"

    def decision_of(self, probability: float) -> Decision:
        if probability >= self.reject:
            return "reject"
        return "accept" if probability < self.review else "review"

    def accepted_below(self, shift: float) -> float:
        """Calibrated log-odds, at the calibration's defect rate, below which a part is accepted. `shift`: what the
        line's defect rate adds to them."""
        return threshold_log_odds(self.review) - shift

    def moved(self, shift: float) -> "Thresholds":
        """The thresholds that give the same verdicts when `shift` is added to every log-odds; 0 and 1 stay.

        For thresholds that bound an error rate, of good parts or of defects, which the defect rate doesn't change. A
        threshold that weighs costs stays as it is, and verdicts move (see `prior_shift`).
        """
        return Thresholds(_moved(self.review, shift), _moved(self.label, shift), _moved(self.reject, shift))


def _moved(threshold: float, shift: float) -> float:
    return sigmoid(logit(threshold) + shift) if shift and 0 < threshold < 1 else threshold


@dataclass(frozen=True)
class Verdict:
    """`probability` is that of anomaly, always; `log_odds` is after calibration: sigmoid of it is `probability`."""

    label: Label
    decision: Decision
    probability: float
    log_odds: float
