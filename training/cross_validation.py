"""The honest estimate: every image is predicted once, by a network that never saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.figures import Figures
from model.trunk_choice import TrunkChoice
from training.data.samples import kinds_of
from training.data.splits import Split
from training.estimators.estimator import FoldPredictor, steps
from training.evaluation.figures import measure, table
from training.evaluation.prediction import Prediction
from training.recipe import as_dict
from training.training_run import TrainingRun


@dataclass(frozen=True)
class CrossValidation:
    """Figures of each fold and of all predictions together, the predictions, and why they have which trunk."""

    folds: list[Figures]
    pooled: Figures
    predictions: list[Prediction]
    trunk_choices: list[TrunkChoice]
    """Of each fold; none where trunks were not compared."""


def cross_validate(estimator: FoldPredictor, splits: Sequence[Split], run: TrainingRun) -> CrossValidation:
    """Fit and predict once a split; together their test parts are all images (see `make_folds`).

    Calibration, thresholds and heatmap scale are chosen within each training part (nested cross-validation, Stone
    1974).
    """
    figures, predictions, choices = [], [], []
    for number, split in enumerate(splits, 1):
        with run.reporter.task(f"fold {number} of {len(splits)}", steps(estimator)) as advance:
            of_fold = estimator.predict_fold(split, run.method, advance, number)
        protocol = f"fold {number} of {len(splits)}: {len(split.test)} images, trained on {len(split.train)} others"
        figures.append(measure(of_fold.predictions, protocol))
        run.reporter.line(table(figures[-1]))
        predictions += of_fold.predictions
        choices += [of_fold.trunk_choice] if of_fold.trunk_choice else []
    protocol = (
        f"{len(splits)} folds pooled: {len(predictions)} images, each predicted once by a network that never saw it"
    )
    predictions.sort(key=lambda prediction: prediction.sample.name)
    return CrossValidation(figures, measure(predictions, protocol), predictions, choices)


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
        **({"trunk_choices": result.trunk_choices} if result.trunk_choices else {}),
        "seconds": run.reporter.seconds,
    }
