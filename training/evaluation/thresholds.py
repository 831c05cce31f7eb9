"""Rules that choose thresholds from held-out log-odds, each for another goal of a production line."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.verdict import Thresholds, logit, sigmoid
from training.evaluation.error_bounds import max_errors, percent

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LeastCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="least-cost", tag_field="name"):
    """The least expected cost at the production line's defect rate: p ≥ 1/(1 + miss_cost) (Elkan 2001, equation 2)."""

    prior_invariant: ClassVar[bool] = False
    miss_cost: float = 10.0
    """Cost of a missed defect, in false rejects."""

    def __post_init__(self) -> None:
        if not 0 < self.miss_cost < np.inf:
            raise ValueError(f"the cost of a missed defect must be above 0 false rejects, not {self.miss_cost:g}")

    def __str__(self) -> str:
        return f"Least expected cost, where a missed defect costs as much as {self.miss_cost:g} false rejects."


class BestBalancedAccuracy(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="best-balanced-accuracy", tag_field="name"
):
    """The best mean of the two classes' accuracies (see `bayes_threshold`)."""

    prior_invariant: ClassVar[bool] = True

    def __str__(self) -> str:
        return "Best balanced accuracy, the mean of the shares of good parts and of defects with the right label."


class ErrorRateLimits(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="error-rate-limits", tag_field="name"
):
    """Error rates bounded with 95 % confidence; images for which neither bound holds go to review."""

    prior_invariant: ClassVar[bool] = True
    max_miss: float | None = None
    """Highest share of defects accepted."""
    max_false_reject: float | None = None
    """Highest share of good parts rejected."""

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.max_miss, self.max_false_reject) if limit is not None]
        if not limits:
            raise ValueError("error-rate limits need a highest miss rate, a highest false-reject rate, or both")
        for limit in limits:
            if not 0 < limit < 1:
                raise ValueError(f"an error-rate limit must lie between 0 and 1, not {limit:g}")

    def __str__(self) -> str:
        named = (("defects are missed", self.max_miss), ("good parts are rejected", self.max_false_reject))
        parts = [f"at most {percent(limit)} of {what}" for what, limit in named if limit is not None]
        return f"With 95 % confidence {' and '.join(parts)}."


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fixed", tag_field="name"):
    """A fixed probability, whatever the data and the production line's defect rate."""

    prior_invariant: ClassVar[bool] = False
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"a threshold is a probability, 0 to 1, not {self.threshold:g}")

    def __str__(self) -> str:
        return f"A fixed threshold of {self.threshold:g}."


Rule = LeastCost | BestBalancedAccuracy | ErrorRateLimits | Fixed
"""`prior_invariant`: under another defect rate the rule's thresholds move with the log-odds (`Thresholds.moved`) and
verdicts stay; otherwise the thresholds stay, as probabilities, and verdicts move."""


def choose_thresholds(rule: Rule, log_odds: Floats, is_anomaly: Bools, shift: float) -> Thresholds:
    """Thresholds as probabilities at the production line's defect rate.

    `log_odds`: n, held out, calibrated at the share of anomalies among `is_anomaly`; `shift`: log-odds that the line's
    defect rate adds to them (`model.verdict.prior_shift`). Raises ErrorBoundError where there are too few images for
    the rule's limits, and DataError where a rule needs both classes and there is one.
    """
    match rule:
        case LeastCost():
            probability = 1 / (1 + rule.miss_cost)
            return Thresholds(probability, probability, probability)
        case Fixed():
            return Thresholds(rule.threshold, rule.threshold, rule.threshold)
        case BestBalancedAccuracy():
            review = label = reject = bayes_threshold(is_anomaly)
        case ErrorRateLimits():
            review, label, reject = _bounded_thresholds(rule, log_odds, is_anomaly)
    return Thresholds(sigmoid(review + shift), sigmoid(label + shift), sigmoid(reject + shift))


def bayes_threshold(is_anomaly: Bools) -> float:
    """Log-odds where balanced accuracy is best if they are calibrated: their probability is the data's defect rate.

    An image is then as likely among anomalies as among good images. It rests on the calibration's two numbers, whose
    error falls as n^−½; that of the best threshold of these images as n^−⅓ (Kim & Pollard 1990).
    Raises DataError unless both classes are there.
    """
    _check_classes(is_anomaly)
    return logit(float(is_anomaly.mean()))


def _bounded_thresholds(rule: ErrorRateLimits, log_odds: Floats, is_anomaly: Bools) -> tuple[float, float, float]:
    """Review, label and reject, as log-odds.

    `high` is the highest threshold below which accepting keeps the miss rate's limit, `low` the lowest from which
    rejecting keeps the false-reject rate's. With one limit that threshold is all three. With both, label is where
    balanced accuracy is best between them; it is all three if low ≤ high, since each threshold there keeps both limits.
    """
    candidates = _candidates(log_odds)
    high = low = 0.0
    if rule.max_miss is not None:
        defects = log_odds[is_anomaly]
        allowed = max_errors(rule.max_miss, len(defects), "miss rate")
        high = float(candidates[_below(defects, candidates) <= allowed].max())
    if rule.max_false_reject is not None:
        goods = log_odds[~is_anomaly]
        allowed = max_errors(rule.max_false_reject, len(goods), "false-reject rate")
        low = float(candidates[len(goods) - _below(goods, candidates) <= allowed].min())
    if rule.max_miss is None:
        return low, low, low
    if rule.max_false_reject is None:
        return high, high, high
    label = min(max(bayes_threshold(is_anomaly), min(low, high)), max(low, high))
    return (label, label, label) if low <= high else (high, label, low)


def _candidates(log_odds: Floats) -> Floats:
    """Thresholds below, between and above the distinct scores, ascending; one more than those.

    A threshold lies half-way between its neighbours, the outermost as far outside as the next one lies inside.
    """
    scores = np.unique(log_odds)
    gaps = np.diff(scores) if len(scores) > 1 else np.ones(1)
    between = scores[1:] - gaps[: len(scores) - 1] / 2
    return np.concatenate([scores[:1] - gaps[0] / 2, between, scores[-1:] + gaps[-1] / 2])


def _below(scores: Floats, thresholds: Floats) -> NDArray[np.int64]:
    """How many scores each threshold has below it: those it accepts."""
    return np.searchsorted(np.sort(scores), thresholds, side="left")


def _check_classes(is_anomaly: Bools) -> None:
    if is_anomaly.all() or not is_anomaly.any():
        raise DataError("thresholds need both good images and defective ones; only one class is there")
