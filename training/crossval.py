"""The honest estimate: every image is judged once, by a network that never saw it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model.manifest import Figures
from training.dataset import kinds_of
from training.figures import measure, table
from training.levels import with_darkness
from training.prediction import Prediction
from training.progress import Reporter
from training.recipe import Recipe
from training.split import Split
from training.trial import Prepared, run_trial


@dataclass(frozen=True)
class CrossValidation:
    """Figures of each fold and of all predictions together, and the predictions."""

    folds: list[Figures]
    pooled: Figures
    predictions: list[Prediction]


def cross_validate(data: Prepared, splits: Sequence[Split], recipe: Recipe, reporter: Reporter) -> CrossValidation:
    """Train and judge once a split; together their test parts are all images (see `make_folds`)."""
    figures, checks, predictions = [], [], []
    for number, split in enumerate(splits, 1):
        with reporter.task(f"fold {number} of {len(splits)}", recipe.epochs) as advance:
            trial = run_trial(data, split, recipe, advance, fold=number)
        how = f"fold {number} of {len(splits)}: {len(split.test)} images, trained on {len(split.train)} others"
        figures.append(with_darkness(measure(trial.predictions, how), [trial.darkness]))
        reporter.line(table(figures[-1]))
        checks.append(trial.darkness)
        predictions += trial.predictions
    how = f"{len(splits)} folds pooled: {len(predictions)} images, each judged once by a network that never saw it"
    pooled = with_darkness(measure(predictions, how), checks)
    return CrossValidation(figures, pooled, sorted(predictions, key=lambda prediction: prediction.sample.name))


def summary(result: CrossValidation, data: Prepared, recipe: Recipe, seconds: dict[str, float]) -> dict[str, Any]:
    """Everything but the images, for `write_results`."""
    return {
        "preset": recipe.name,
        "recipe": recipe,
        "data": {"fingerprint": data.survey.fingerprint, "kinds": kinds_of(data.samples)},
        "folds": result.folds,
        "pooled": result.pooled,
        "seconds": seconds,
    }
