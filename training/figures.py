"""How good verdicts were: counts, rates with their uncertainty, errors by kind. Positive is anomaly."""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score, roc_auc_score

from model.manifest import Estimate, Figures, KindErrors
from training.dataset import kinds_of
from training.prediction import Prediction


def measure(predictions: Sequence[Prediction], how: str) -> Figures:
    """All figures of predictions that hold both classes. `how` says of which images and by which models."""
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    right = np.array([prediction.is_right for prediction in predictions])
    probabilities = [prediction.probability for prediction in predictions]
    kinds = kinds_of(prediction.sample for prediction in predictions)
    wrong = kinds_of(prediction.sample for prediction in predictions if not prediction.is_right)
    return Figures(
        how=how,
        true_positives=int((truth & right).sum()),
        true_negatives=int((~truth & right).sum()),
        false_positives=int((~truth & ~right).sum()),
        false_negatives=int((truth & ~right).sum()),
        accuracy=rate(int(right.sum()), len(right)),
        balanced_accuracy=balanced_accuracy(
            rate(int(right[truth].sum()), int(truth.sum())), rate(int(right[~truth].sum()), int((~truth).sum()))
        ),
        auroc=float(roc_auc_score(truth, probabilities)),
        average_precision=float(average_precision_score(truth, probabilities)),
        errors_by_kind={kind: KindErrors(wrong.get(kind, 0), count) for kind, count in kinds.items()},
    )


def rate(successes: int, trials: int) -> Estimate:
    """A share with Wilson's 95 % interval (Wilson 1927)."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def balanced_accuracy(anomalies: Estimate, goods: Estimate) -> Estimate:
    """Mean of the two classes' accuracies, its 95 % interval from theirs (square-and-add, Newcombe 1998, method 10).

    A bootstrap would give no width at all where every image was judged rightly.
    """
    value = (anomalies.value + goods.value) / 2
    below = math.hypot(anomalies.value - anomalies.low, goods.value - goods.low) / 2
    above = math.hypot(anomalies.high - anomalies.value, goods.high - goods.value) / 2
    return Estimate(value, max(0.0, value - below), min(1.0, value + above))


def table(figures: Figures) -> str:
    """The figures as lines for people."""
    f = figures
    lines = [
        f"measured on {f.how}",
        f"  TP {f.true_positives}  TN {f.true_negatives}  FP {f.false_positives}  FN {f.false_negatives}"
        "  (positive = anomaly: FP are good parts rejected, FN defects missed)",
        f"  accuracy           {_percent(f.accuracy)}",
        f"  balanced accuracy  {_percent(f.balanced_accuracy)}",
        f"  AUROC {f.auroc:.4f}   average precision {f.average_precision:.4f}",
        "  wrong by kind: " + ", ".join(f"{kind} {e.wrong}/{e.images}" for kind, e in f.errors_by_kind.items()),
    ]
    if f.good_with_region is not None:
        lines.append(
            f"  good images whose picture shows a region: {_percent(f.good_with_region)}; "
            f"median of a good picture {f.good_picture_median:.3f}"
        )
    return "\n".join(lines)


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} (95 %: {estimate.low:.1%} to {estimate.high:.1%})"
