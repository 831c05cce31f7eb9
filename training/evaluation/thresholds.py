"""Rules that choose thresholds from held-out log-odds, each for something that a line may want."""

from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from model.verdict import Thresholds, logit, sigmoid
from training.evaluation.error_bounds import most_errors, percent

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class LeastCost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="least-cost", tag_field="rule"):
    """The least expected cost at the line's share of defects: p ≥ 1/(1 + miss_cost) (Elkan 2001, equation 2)."""

    keeps_verdicts: ClassVar[bool] = False
    miss_cost: float = 10.0
    """What a missed defect costs, in false rejects."""

    def __post_init__(self) -> None:
        if not 0 < self.miss_cost < np.inf:
            raise ValueError(f"the cost of a missed defect must be above 0 false rejects, not {self.miss_cost:g}")

    def __str__(self) -> str:
        return f"Least expected cost, where a missed defect costs as much as {self.miss_cost:g} false rejects."


class BestBalancedAccuracy(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="best-balanced-accuracy", tag_field="rule"
):
    """The best mean of the two classes' accuracies (see `bayes_cut`)."""

    keeps_verdicts: ClassVar[bool] = True

    def __str__(self) -> str:
        return "Best balanced accuracy, the mean of the shares of good parts and of defects that are judged rightly."


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="limits", tag_field="rule"):
    """Highest rates of errors, promised with 95 % certainty; what can't be promised either way goes to review."""

    keeps_verdicts: ClassVar[bool] = True
    max_miss: float | None = None
    """Share of defects that may be accepted."""
    max_false_reject: float | None = None
    """Share of good parts that may be rejected."""

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.max_miss, self.max_false_reject) if limit is not None]
        if not limits:
            raise ValueError("a promise needs a highest miss rate, a highest false-reject rate, or both")
        for limit in limits:
            if not 0 < limit < 1:
                raise ValueError(f"a highest rate of errors must lie between 0 and 1, not {limit:g}")

    def __str__(self) -> str:
        named = (("defects are missed", self.max_miss), ("good parts are rejected", self.max_false_reject))
        parts = [f"at most {percent(limit)} of {what}" for what, limit in named if limit is not None]
        return f"With 95 % certainty {' and '.join(parts)}."


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="fixed", tag_field="rule"):
    """A probability, whatever the data and the line's share of defects."""

    keeps_verdicts: ClassVar[bool] = False
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"a threshold is a probability, 0 to 1, not {self.threshold:g}")

    def __str__(self) -> str:
        return f"A fixed threshold of {self.threshold:g}."


Rule = LeastCost | BestBalancedAccuracy | Limits | Fixed
"""`keeps_verdicts`: when the line's share of defects becomes another, its thresholds move with the log-odds
(`Thresholds.moved`) and verdicts stay; otherwise the thresholds stay, as probabilities, and verdicts move."""


def choose(rule: Rule, log_odds: Floats, is_anomaly: Bools, shift: float) -> Thresholds:
    """Thresholds as probabilities at the line's share of defects.

    `log_odds`: n, held out, calibrated at the share of anomalies among `is_anomaly`; `shift`: what the line's own share
    adds to them (`model.verdict.prior_shift`). Raises PromiseError where the data can't carry the rule's promise, and
    DataError where a rule needs both classes and there is one.
    """
    match rule:
        case LeastCost():
            probability = 1 / (1 + rule.miss_cost)
            return Thresholds(probability, probability, probability)
        case Fixed():
            return Thresholds(rule.threshold, rule.threshold, rule.threshold)
        case BestBalancedAccuracy():
            review = label = reject = bayes_cut(is_anomaly)
        case Limits():
            review, label, reject = _promised_cuts(rule, log_odds, is_anomaly)
    return Thresholds(sigmoid(review + shift), sigmoid(label + shift), sigmoid(reject + shift))


def bayes_cut(is_anomaly: Bools) -> float:
    """Where balanced accuracy is best if the log-odds are calibrated: at the probability that equals the data's share.

    An image is then as likely among anomalies as among good images. It rests on the calibration's two numbers, whose
    error falls as n^−½; that of the best cut of these images as n^−⅓ (Kim & Pollard 1990).
    Raises DataError unless both classes are there.
    """
    _check_classes(is_anomaly)
    return logit(float(is_anomaly.mean()))


def _promised_cuts(rule: Limits, log_odds: Floats, is_anomaly: Bools) -> tuple[float, float, float]:
    """Review, label and reject.

    `high` is the highest cut below which accepting keeps the promised miss rate, `low` the lowest from which rejecting
    keeps the promised rate of false rejects. With one limit that cut is all three. With both, label is where balanced
    accuracy is best between them; it is all three if low ≤ high, since each cut there keeps both promises.
    """
    cuts = _cuts(log_odds)
    high = low = 0.0
    if rule.max_miss is not None:
        defects = log_odds[is_anomaly]
        allowed = most_errors(rule.max_miss, len(defects), "miss rate")
        high = float(cuts[_below(defects, cuts) <= allowed].max())
    if rule.max_false_reject is not None:
        goods = log_odds[~is_anomaly]
        allowed = most_errors(rule.max_false_reject, len(goods), "false-reject rate")
        low = float(cuts[len(goods) - _below(goods, cuts) <= allowed].min())
    if rule.max_miss is None:
        return low, low, low
    if rule.max_false_reject is None:
        return high, high, high
    label = min(max(bayes_cut(is_anomaly), min(low, high)), max(low, high))
    return (label, label, label) if low <= high else (high, label, low)


def _cuts(log_odds: Floats) -> Floats:
    """The cuts below, between and above the distinct scores, ascending; one more than those.

    A cut lies half-way between its neighbours, the outermost as far outside as the next cut lies inside.
    """
    scores = np.unique(log_odds)
    gaps = np.diff(scores) if len(scores) > 1 else np.ones(1)
    between = scores[1:] - gaps[: len(scores) - 1] / 2
    return np.concatenate([scores[:1] - gaps[0] / 2, between, scores[-1:] + gaps[-1] / 2])


def _below(scores: Floats, cuts: Floats) -> NDArray[np.int64]:
    """How many scores each cut has below it: those it accepts."""
    return np.searchsorted(np.sort(scores), cuts, side="left")


def _check_classes(is_anomaly: Bools) -> None:
    if is_anomaly.all() or not is_anomaly.any():
        raise DataError("thresholds need both good images and defective ones; only one class is there")
