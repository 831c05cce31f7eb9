"""Measures how good predictions are: counts, rates with their uncertainty, errors by kind. Positive is anomaly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from model.figures import CalibrationError, Decisions, Estimate, Figures, KindFigures
from training.data.samples import GOOD, kinds_of
from training.evaluation.calibration import calibration_error, null_calibration_error
from training.evaluation.error_bounds import count_decisions
from training.evaluation.intervals import balanced_accuracy, bootstrap, rate, wider
from training.evaluation.localisation import localise
from training.evaluation.prediction import Prediction
from training.evaluation.ranking import Ranking

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def measure(predictions: Sequence[Prediction], protocol: str) -> Figures:
    """All figures of predictions that hold both classes. `protocol`: which images were predicted by which models.

    Ranking and verdicts are at the production line's defect rate, losses and calibration error at the calibration's.
    Figures of good heatmaps hold where the heatmap scale was chosen on other images. Random draws are seeded.
    """
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    right = np.array([prediction.is_correct for prediction in predictions])
    log_odds = np.array([prediction.log_odds for prediction in predictions])
    scores = log_odds + np.array([prediction.shift for prediction in predictions])
    good = [prediction for prediction in predictions if not prediction.sample.is_anomaly]
    shown = [each.heatmap_scale.smoothed(each.evidence) for each in good]
    with_region = sum(bool(one.max() >= of.heatmap_scale.region_threshold) for one, of in zip(shown, good, strict=True))
    good_heatmaps = [of.heatmap_scale(one[~np.isneginf(one)]) for one, of in zip(shown, good, strict=True)]
    auroc, precision, miss_1, miss_5, log_loss, brier = _bootstrapped(scores, log_odds, truth)
    return Figures(
        protocol=protocol,
        true_positives=int((truth & right).sum()),
        true_negatives=int((~truth & right).sum()),
        false_positives=int((~truth & ~right).sum()),
        false_negatives=int((truth & ~right).sum()),
        accuracy=rate(int(right.sum()), len(right)),
        balanced_accuracy=balanced_accuracy(
            rate(int(right[truth].sum()), int(truth.sum())), rate(int(right[~truth].sum()), int((~truth).sum()))
        ),
        auroc=auroc,
        average_precision=precision,
        miss_rate_at_1_percent=miss_1,
        miss_rate_at_5_percent=miss_5,
        log_loss=log_loss,
        brier_score=brier,
        calibration_error=_calibration_error(expit(log_odds), truth),
        good_decisions=count_decisions([each.decision for each in good]),
        defect_decisions=count_decisions([each.decision for each in predictions if each.sample.is_anomaly]),
        by_kind=_by_kind(predictions, scores),
        good_images_with_region=rate(with_region, len(good)),
        good_heatmap_median=float(np.median(np.concatenate(good_heatmaps))),
        localisation=localise(predictions),
    )


def table(figures: Figures) -> str:
    """The figures as lines of text."""
    f = figures
    lines = [
        f"measured on {f.protocol}",
        f"  TP {f.true_positives}  TN {f.true_negatives}  FP {f.false_positives}  FN {f.false_negatives}"
        "  (positive = anomaly: FP are good parts rejected, FN defects missed)",
        f"  accuracy           {_percent(f.accuracy)}",
        f"  balanced accuracy  {_percent(f.balanced_accuracy)}",
        f"  AUROC {_number(f.auroc)}   average precision {_number(f.average_precision)}",
        f"  defects missed where 1 % of good parts are rejected: {_percent(f.miss_rate_at_1_percent)}; "
        f"5 %: {_percent(f.miss_rate_at_5_percent)}",
        f"  log loss {_number(f.log_loss)}   Brier score {_number(f.brier_score)}",
        f"  calibration error {f.calibration_error.value:.4f} (of right probabilities, on as many images: median "
        f"{f.calibration_error.chance_median:.4f}, 95 % point {f.calibration_error.chance_95:.4f})",
    ]
    if f.good_decisions.review or f.defect_decisions.review:
        lines.append(f"  good parts: {_decided(f.good_decisions)}; defects: {_decided(f.defect_decisions)}")
    lines += [
        "  wrong by kind: " + ", ".join(_kind(*pair) for pair in f.by_kind.items()),
        f"  good images whose heatmap shows a region: {_percent(f.good_images_with_region)}; "
        f"median of a good heatmap {f.good_heatmap_median:.3f}",
    ]
    if (found := f.localisation) is not None:
        lines.append(
            f"  on {found.images} masks: pixel AUROC {found.pixel_auroc:.4f}, "
            f"AUPRO {found.aupro:.4f}, brightest pixel on the defect {_percent(found.pointing_game)}\n"
            f"  {found.components} defects: {_percent(found.component_recall)} have a region, mean IoU with it "
            f"{found.region_iou:.3f}"
        )
    return "\n".join(lines)


def _bootstrapped(scores: Floats, log_odds: Floats, truth: Bools) -> list[Estimate]:
    """AUROC, average precision, miss rate at 1 and 5 % false rejects, log loss, Brier score.

    A miss rate's interval holds Wilson's too, which the bootstrap doesn't reach where nothing was missed.
    """
    losses = np.stack([np.logaddexp(0.0, np.where(truth, -log_odds, log_odds)), (expit(log_odds) - truth) ** 2], axis=1)

    def statistics(weights: Floats) -> Floats:
        ranking = Ranking.of(scores, truth, weights)
        columns = [ranking.auroc(), ranking.average_precision(), ranking.miss_rate(0.01), ranking.miss_rate(0.05)]
        return np.column_stack([*columns, weights @ losses / len(truth)])

    auroc, precision, *misses, log_loss, brier = bootstrap(statistics, truth)
    defects = int(truth.sum())
    miss_1, miss_5 = (wider(miss, rate(round(miss.value * defects), defects)) for miss in misses)
    return [auroc, precision, miss_1, miss_5, log_loss, brier]


def _calibration_error(probabilities: Floats, truth: Bools) -> CalibrationError:
    return CalibrationError(calibration_error(probabilities, truth), *null_calibration_error(probabilities, seed=0))


def _by_kind(predictions: Sequence[Prediction], scores: Floats) -> dict[str, KindFigures]:
    kinds = np.array([prediction.sample.kind for prediction in predictions])
    errors = kinds_of(prediction.sample for prediction in predictions if not prediction.is_correct)
    figures = {}
    for kind, count in kinds_of(prediction.sample for prediction in predictions).items():
        these = (kinds == kind) | (kinds == GOOD)
        auroc = None if kind == GOOD else float(Ranking.of(scores[these], kinds[these] == kind).auroc()[0])
        figures[kind] = KindFigures(errors.get(kind, 0), count, auroc)
    return figures


def _percent(estimate: Estimate) -> str:
    return f"{estimate.value:.1%} (95 %: {estimate.low:.1%} to {estimate.high:.1%})"


def _number(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} (95 %: {estimate.low:.4f} to {estimate.high:.4f})"


def _decided(decisions: Decisions) -> str:
    return f"{decisions.accept} accepted, {decisions.review} to review, {decisions.reject} rejected"


def _kind(kind: str, figures: KindFigures) -> str:
    text = f"{kind} {figures.errors}/{figures.images}"
    return text if figures.auroc is None else f"{text} (AUROC {figures.auroc:.3f})"
