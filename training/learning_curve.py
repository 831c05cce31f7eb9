"""The learning curve: what more defects to learn from would bring."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from model.errors import DataError
from training.data.samples import Sample
from training.data.splits import Indices, Split, make_folds
from training.estimators.estimator import Learner
from training.evaluation.figures import measure
from training.evaluation.post_processing import Method
from training.pipeline import check_split, judge_once, steps
from training.progress import Reporter
from training.recipe import Recipe
from training.report import CurvePoint as ReportedPoint
from training.report import LearningCurve

MEMBER: Final = "learning_curve"
"""Of the JSON that the command writes."""


@dataclass(frozen=True)
class CurvePoint:
    """Figures on held-out images after learning from so many defects, one per draw."""

    defects: int
    auroc: list[float]
    balanced_accuracy: list[float]


def learning_curve(
    learner: Learner, recipe: Recipe, method: Method, defects: Sequence[int], draws: int, reporter: Reporter
) -> list[CurvePoint]:
    """Each draw judges another part of the images, by networks that learnt from some of the other parts' defects, and
    from all of them. Raises DataError where a part would lack a class."""
    material = learner.material
    points = []
    for count, splits in choose_draws([material.samples[i] for i in material.real], recipe, defects, draws).items():
        aurocs, accuracies = [], []
        with reporter.task(f"{count} defects", steps(learner, recipe) * draws) as advance:
            for number, split in enumerate(splits):
                figures = measure(judge_once(learner, split, recipe, method, advance, number), f"draw {number}")
                aurocs.append(figures.auroc.value)
                accuracies.append(figures.balanced_accuracy.value)
        points.append(CurvePoint(count, aurocs, accuracies))
        reporter.line(
            f"{count} defects: AUROC {np.mean(aurocs):.4f} ({min(aurocs):.4f} to {max(aurocs):.4f}), "
            f"balanced accuracy {np.mean(accuracies):.1%} ({min(accuracies):.1%} to {max(accuracies):.1%})"
        )
    return points


def choose_draws(
    samples: Sequence[Sample], recipe: Recipe, defects: Sequence[int], draws: int
) -> dict[int, list[Split]]:
    """By the number of defects, the parts of the images that each draw learns from and judges.

    Raises DataError where one has too few images, or groups of them, for what `judge_once` does.
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
    for split in (split for splits in chosen.values() for split in splits):
        check_split(samples, split, recipe)
    return chosen


def _with_few(train: Indices, is_anomaly: np.ndarray, count: int, seed: int) -> Indices:
    some = np.random.default_rng(seed).permutation(train[is_anomaly])[:count]
    return np.sort(np.concatenate([train[~is_anomaly], some]))


def read_curve(path: Path) -> LearningCurve:
    """What the curve command wrote there with --json, for a report. Raises DataError."""
    try:
        points = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])[MEMBER]
        found = msgspec.json.decode(points, type=list[CurvePoint])
    except OSError as error:
        raise DataError(f"--curve {path} can't be read: {error.strerror}") from error
    except (KeyError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DataError(f"--curve {path} is not what `curve --json` writes: {error}") from error
    return LearningCurve("AUROC", [ReportedPoint(point.defects, point.auroc) for point in found])
