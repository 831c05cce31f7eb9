"""ELPV by the protocol of Deitsch et al. 2019, section 4: a fourth of the cells predicted, weighted by certainty.

    python -m benchmarks.elpv --data elpv_dataset/data

The data is in the package elpv-dataset 1.0.0.post1 (CC BY-NC-SA 4.0, not for commercial use).
"""

import argparse
import csv
from pathlib import Path
from typing import Final

import numpy as np

from training.data.dataset import load_dataset
from training.data.splits import make_folds
from training.estimators.estimator import steps
from training.estimators.factory import estimator_for
from training.evaluation.figures import measure, table
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Fixed
from training.features.imagenet import imagenet_trunk
from training.progress import Reporter
from training.recipe import read_recipe
from training.training_run import TrainingRun

FOLDS: Final = 4
"""Number of folds, of which one is predicted: 1,968 cells to learn from, 656 to predict."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds labels.csv")
    parser.add_argument("--preset", default="fast", help="which preset learns (default fast)")
    parser.add_argument("--seed", type=int, default=42, help="of the split and the patches drawn (default 42)")
    chosen = parser.parse_args()
    reporter = Reporter()
    recipe = read_recipe(chosen.preset, seed=chosen.seed)
    dataset = load_dataset(chosen.data, group=None, sample=None, seed=recipe.seed, reporter=reporter)
    estimator = estimator_for(recipe)
    method = estimator.method(dataset.samples, Fixed(0.5))
    run = TrainingRun(dataset, recipe, method, imagenet_trunk(say=reporter.line), reporter)
    prepared = estimator.prepare(run)
    split = make_folds(dataset.samples, FOLDS, recipe.seed)[0]
    with reporter.task("training", steps(prepared)) as advance:
        predictions = prepared.predict_fold(split, method, advance, 1).predictions
    reporter.line(table(measure(predictions, f"{len(split.test)} cells, trained on {len(split.train)} others")))
    certainty = certainties(chosen.data / "labels.csv")
    reporter.line(
        f"accuracy weighted by certainty: {weighted(predictions, certainty, 0.5):.1%}; "
        f"with cells of probability 1/3 as defective, of weight 1/3: {weighted(predictions, certainty, 0.1):.1%}"
    )


def certainties(labels: Path) -> dict[str, float]:
    """The defect probability of each cell, by its name."""
    rows = csv.reader(labels.read_text("utf-8").splitlines(), delimiter=" ", skipinitialspace=True)
    return {row[0]: float(next(cell for cell in row[1:] if cell)) for row in rows}


def weighted(predictions: list[Prediction], certainty: dict[str, float], defective_from: float) -> float:
    """Share of certainty that is predicted rightly: a cell weighs as much as its label is certain."""
    p = np.array([certainty[prediction.sample.name] for prediction in predictions])
    defective = p > defective_from
    said = np.array([prediction.label == "anomaly" for prediction in predictions])
    return float(np.average(said == defective, weights=np.where(defective, p, 1 - p)))


if __name__ == "__main__":
    main()
