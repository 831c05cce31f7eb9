"""The honest estimate: every image is predicted once, by a network that never saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.figures import Figures
from training.data.samples import kinds_of
from training.data.splits import Split
from training.estimators.estimator import FoldPredictor, steps
from training.evaluation.figures import measure, table
from training.evaluation.prediction import Prediction
from training.recipe import as_dict
from training.training_run import TrainingRun


@dataclass(frozen=True)
class CrossValidation:
    """Figures of each fold and of all predictions together, and the predictions."""

    folds: list[Figures]
    pooled: Figures
    predictions: list[Prediction]


def cross_validate(estimator: FoldPredictor, splits: Sequence[Split], run: TrainingRun) -> CrossValidation:
    """Fit and predict once a split; together their test parts are all images (see `make_folds`).

    Calibration, thresholds and heatmap scale are chosen within each training part (nested cross-validation, Stone
    1974).
    """
    figures, predictions = [], []
    for number, split in enumerate(splits, 1):
        with run.reporter.task(f"fold {number} of {len(splits)}", steps(estimator)) as advance:
            of_fold = estimator.predict_fold(split, run.method, advance, number)
        protocol = f"fold {number} of {len(splits)}: {len(split.test)} images, trained on {len(split.train)} others"
        figures.append(measure(of_fold, protocol))
        run.reporter.line(table(figures[-1]))
        predictions += of_fold
    protocol = (
        f"{len(splits)} folds pooled: {len(predictions)} images, each predicted once by a network that never saw it"
    )
    predictions.sort(key=lambda prediction: prediction.sample.name)
    return CrossValidation(figures, measure(predictions, protocol), predictions)


def summary(result: CrossValidation, run: TrainingRun) -> dict[str, Any]:
    """The results without the images' rows, for `write_results`."""
    return {
        "preset": run.recipe.name,
        "recipe": as_dict(run.recipe),
        "rule": run.method.rule,
        "defect_rate": run.method.defect_rate,
        "data": {"fingerprint": run.dataset.fingerprint, "kinds": kinds_of(run.dataset.samples)},
        "folds": result.folds,
        "pooled": result.pooled,
        "seconds": run.reporter.seconds,
    }
