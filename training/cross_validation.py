"""The honest estimate: every image is judged once, by a network that never saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.figures import Figures
from training.data.dataset import Dataset
from training.data.samples import kinds_of
from training.data.splits import Split
from training.estimators.estimator import Learner
from training.evaluation.figures import measure, table
from training.evaluation.post_processing import Method
from training.evaluation.prediction import Prediction
from training.pipeline import judge_once, steps
from training.progress import Reporter
from training.recipe import Recipe, as_dict


@dataclass(frozen=True)
class CrossValidation:
    """Figures of each fold and of all predictions together, and the predictions."""

    folds: list[Figures]
    pooled: Figures
    predictions: list[Prediction]


def cross_validate(
    learner: Learner, splits: Sequence[Split], recipe: Recipe, method: Method, reporter: Reporter
) -> CrossValidation:
    """Train and judge once a split; together their test parts are all images (see `make_folds`).

    Calibration, thresholds and levels are chosen within each training part (nested cross-validation, Stone 1974).
    """
    figures, predictions = [], []
    for number, split in enumerate(splits, 1):
        with reporter.task(f"fold {number} of {len(splits)}", steps(learner, recipe)) as advance:
            found = judge_once(learner, split, recipe, method, advance, number)
        how = f"fold {number} of {len(splits)}: {len(split.test)} images, trained on {len(split.train)} others"
        figures.append(measure(found, how))
        reporter.line(table(figures[-1]))
        predictions += found
    how = f"{len(splits)} folds pooled: {len(predictions)} images, each judged once by a network that never saw it"
    predictions.sort(key=lambda prediction: prediction.sample.name)
    return CrossValidation(figures, measure(predictions, how), predictions)


def summary(
    result: CrossValidation, found: Dataset, recipe: Recipe, method: Method, seconds: dict[str, float]
) -> dict[str, Any]:
    """Everything but the images, for `write_results`."""
    return {
        "preset": recipe.name,
        "recipe": as_dict(recipe),
        "rule": method.rule,
        "defect_rate": method.defect_rate,
        "data": {"fingerprint": found.fingerprint, "kinds": kinds_of(found.samples)},
        "folds": result.folds,
        "pooled": result.pooled,
        "seconds": seconds,
    }
