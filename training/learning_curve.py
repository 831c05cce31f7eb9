"""The learning curve: how accuracy grows with the number of defects to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from model.errors import DataError
from training.data.samples import Sample
from training.data.splits import Indices, Split, make_folds
from training.estimators.estimator import FoldPredictor, steps
from training.estimators.factory import estimator_for
from training.evaluation.figures import measure
from training.recipe import Recipe
from training.report.report import CurvePoint as ReportedPoint
from training.report.report import LearningCurve
from training.training_run import TrainingRun

MEMBER: Final = "learning_curve"
"""Name of the curve in the JSON that the command writes."""


@dataclass(frozen=True)
class CurvePoint:
    """Figures on held-out images after learning from so many defects, one per draw."""

    defects: int
    auroc: list[float]
    balanced_accuracy: list[float]


def learning_curve(estimator: FoldPredictor, run: TrainingRun, defects: Sequence[int], draws: int) -> list[CurvePoint]:
    """Measure each number of defects, and all of them, by so many draws; each draw tests another fold of the images.

    Raises DataError where a fold would lack a class.
    """
    training_set = estimator.training_set
    samples = [training_set.samples[i] for i in training_set.real]
    points = []
    for count, splits in choose_draws(samples, run.recipe, defects, draws).items():
        aurocs, accuracies = [], []
        with run.reporter.task(f"{count} defects", steps(estimator) * draws) as advance:
            for number, split in enumerate(splits):
                result = estimator.predict_fold(split, run.method, advance, number)
                figures = measure(result.predictions, f"draw {number}")
                aurocs.append(figures.auroc.value)
                accuracies.append(figures.balanced_accuracy.value)
        points.append(CurvePoint(count, aurocs, accuracies))
        run.reporter.line(
            f"{count} defects: AUROC {np.mean(aurocs):.4f} ({min(aurocs):.4f} to {max(aurocs):.4f}), "
            f"balanced accuracy {np.mean(accuracies):.1%} ({min(accuracies):.1%} to {max(accuracies):.1%})"
        )
    return points


def choose_draws(
    samples: Sequence[Sample], recipe: Recipe, defects: Sequence[int], draws: int
) -> dict[int, list[Split]]:
    """The split of each draw, by the number of defects that it learns from.

    Raises DataError where one has too few images, or groups of them, for `predict_fold`.
    """
    is_anomaly = np.array([sample.is_anomaly for sample in samples])
    splits = make_folds(samples, draws, recipe.seed)
    most = min(int(is_anomaly[split.train].sum()) for split in splits)
    chosen = {
        count: [
            Split(_with_few(split.train, is_anomaly[split.train], count, number), split.test)
            for number, split in enumerate(splits)
        ]
        for count in [*sorted(number for number in set(defects) if number < most), most]
    }
    estimator = estimator_for(recipe)
    for split in (split for splits in chosen.values() for split in splits):
        estimator.check_fold(samples, split)
    return chosen


def _with_few(train: Indices, is_anomaly: np.ndarray, count: int, seed: int) -> Indices:
    """All good samples, and `count` of the defective ones."""
    some = np.random.default_rng(seed).permutation(train[is_anomaly])[:count]
    return np.sort(np.concatenate([train[~is_anomaly], some]))


def read_curve(path: Path) -> LearningCurve:
    """The curve that `curve --json` wrote into this file, for a report. Raises DataError."""
    try:
        points = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])[MEMBER]
        curve = msgspec.json.decode(points, type=list[CurvePoint])
    except OSError as error:
        raise DataError(f"--curve {path} can't be read: {error.strerror}") from error
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"--curve {path} is not what `curve --json` writes: {error}") from error
    return LearningCurve("AUROC", [ReportedPoint(point.defects, point.auroc) for point in curve])
