"""The honest estimate: complete, and no better than chance where there is nothing to learn."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from model.figures import Figures
from tests.training.conftest import fitting, prepare_patches, tiny_fine_tuning, tiny_patches, training_run
from training.cross_validation import cross_validate, summary
from training.data.dataset import Dataset
from training.data.splits import make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.fine_tuning import PreparedFineTuning
from training.estimators.patches import PreparedPatches
from training.evaluation.ranking import Ranking
from training.evaluation.thresholds import BestBalancedAccuracy, LeastCost
from training.features.imagenet import Trunk
from training.progress import no_progress
from training.recipe import Recipe
from training.report.results import write_results


def counts(figures: Figures) -> int:
    return figures.true_positives + figures.true_negatives + figures.false_positives + figures.false_negatives


@pytest.mark.parametrize("recipe", [tiny_fine_tuning(), tiny_patches()], ids=["fine-tuning", "patches"])
def test_every_image_is_predicted_once_and_written_down(
    dataset: Dataset, trunk: Trunk, recipe: Recipe, tmp_path: Path
) -> None:
    fixed = recipe.fixed_threshold is not None
    run = training_run(dataset, trunk, recipe, rule=LeastCost(4), defect_rate=0.1)
    result = cross_validate(estimator_for(recipe).prepare(run), make_folds(dataset.samples, 3, 0), run)
    assert [prediction.sample for prediction in result.predictions] == dataset.samples
    assert counts(result.pooled) == 22 == sum(counts(fold) for fold in result.folds)
    assert result.pooled.protocol == "3 folds pooled: 22 images, each predicted once by a network that never saw it"
    assert result.folds[1].protocol == "fold 2 of 3: 7 images, trained on 15 others"
    assert result.pooled.auroc.value > 0.8
    assert {prediction.thresholds.label for prediction in result.predictions} == ({0.5} if fixed else {1 / 5})
    write_results(tmp_path / "r.json", summary(result, run), result.predictions)
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["preset"] == recipe.name
    assert report["recipe"]["kind"] == ("fine-tuning" if fixed else "patches")
    assert report["rule"]["name"] == ("fixed" if fixed else "least-cost")
    assert report["data"]["kinds"] == {"good": 12, "scratch": 5, "spot": 5}
    assert len(report["folds"]) == 3
    for row, sample in zip(report["images"], dataset.samples, strict=True):
        assert (row["path"], row["kind"]) == (sample.name, sample.kind)
        assert row["target"] == ("anomaly" if sample.is_anomaly else "good")
        assert 0 <= row["probability"] <= 1
        assert row["fold"] in {1, 2, 3}


def test_synthetic_anomalies_are_no_part_of_the_figures(dataset: Dataset, trunk: Trunk) -> None:
    run = training_run(dataset, trunk, tiny_patches(), anomalies="synthetic")
    result = cross_validate(estimator_for(run.recipe).prepare(run), make_folds(dataset.samples, 3, 0), run)
    assert [prediction.sample for prediction in result.predictions] == dataset.samples
    assert result.pooled.by_kind.keys() == {"good", "scratch", "spot"}
    assert summary(result, run)["data"]["kinds"] == {
        "good": 12,
        "scratch": 5,
        "spot": 5,
    }


# Labels that mean nothing


BY_HEART = tiny_patches(l2_penalty=0.0003)
"""So weak a penalty that what is seen in training is known by heart: no leak is overlooked."""


def leaky(estimator: PreparedEstimator) -> PreparedEstimator:
    """A copy that trains on everything, whatever it is told."""
    everything = estimator.training_set.train_indices(estimator.training_set.real)
    return fitting(estimator, lambda indices, advance: estimator.fit(everything, advance))


@dataclass(frozen=True)
class Task:
    """Estimators of the same images under other labels."""

    dataset: Dataset
    trunk: Trunk
    fine_tuning: PreparedFineTuning
    patches: PreparedPatches

    def permuted(self, mode: str, seed: int) -> PreparedEstimator:
        """Labels that are shuffled among all images."""
        kinds = np.random.default_rng(seed).permutation([sample.kind for sample in self.dataset.samples])
        samples = [
            replace(sample, kind=str(kind), mask=None) for sample, kind in zip(self.dataset.samples, kinds, strict=True)
        ]
        if mode == "both":
            shuffled = replace(self.dataset, samples=samples)
            return prepare_patches(shuffled, self.trunk, BY_HEART, anomalies="both")
        training_set = TrainingSet(samples, np.arange(22))
        if mode == "fine-tuning":
            return replace(self.fine_tuning, training_set=training_set)
        mask = self.patches.coverage.max(axis=0) if mode == "masks" else np.full(64, np.nan, np.float32)
        coverage = np.where(training_set.is_anomaly[:, None], mask, np.float32(0))
        return replace(self.patches, training_set=training_set, coverage=coverage, recipe=BY_HEART)


@pytest.fixture(scope="module")
def task(dataset: Dataset, trunk: Trunk, fine_tuning: PreparedFineTuning, patches: PreparedPatches) -> Task:
    return Task(dataset, trunk, fine_tuning, patches)


def pooled_auroc(estimator: PreparedEstimator) -> float:
    samples = [estimator.training_set.samples[i] for i in estimator.training_set.real]
    method = estimator_for(estimator.recipe).method(samples, BestBalancedAccuracy())
    predictions = [
        prediction
        for number, split in enumerate(make_folds(samples, 3, 0), 1)
        for prediction in estimator.predict_fold(split, method, no_progress, number).predictions
    ]
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    return float(Ranking.of(np.array([prediction.log_odds for prediction in predictions]), truth).auroc()[0])


def chance(draws: int) -> float:
    """How far from 0.5 the mean AUROC of so many shuffles of 10 and 12 labels may lie, once in a hundred times.

    Of U's variance without ties (Mann & Whitney 1947).
    """
    return 2.576 * float(np.sqrt((10 + 12 + 1) / (12 * 10 * 12) / draws))


@pytest.mark.parametrize("mode", ["fine-tuning", "masks", "no masks", "both"])
def test_with_shuffled_labels_it_is_no_better_or_worse_than_chance(task: Task, mode: str) -> None:
    draws = [pooled_auroc(task.permuted(mode, seed)) for seed in range(3)]
    assert len(set(draws)) > 1
    assert np.mean(draws) == pytest.approx(0.5, abs=chance(3))


@pytest.mark.parametrize("mode", ["fine-tuning", "no masks", "both"])
def test_a_leak_would_show(task: Task, mode: str) -> None:
    """The test above can fail: with an estimator that sees the test part it does."""
    draws = [pooled_auroc(leaky(task.permuted(mode, seed))) for seed in range(3 if mode == "fine-tuning" else 1)]
    assert np.mean(draws) > 0.5 + chance(len(draws))
