"""The honest estimate: complete, and no better than chance where there is nothing to learn."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from model.figures import Figures
from tests.training.conftest import prepare_places, quiet, tiny_places
from training.cross_validation import cross_validate, summary
from training.data.dataset import Dataset
from training.data.splits import Indices, make_folds
from training.data.training_set import TrainingSet
from training.estimators.estimator import Learner, Model
from training.estimators.fine_tuning import PublishedLearner
from training.estimators.patches import PatchLearner
from training.evaluation.ranking import Ranking
from training.evaluation.thresholds import BestBalancedAccuracy, LeastCost
from training.features.imagenet import Trunk
from training.pipeline import judge_once, method_of
from training.progress import Advance, no_progress
from training.recipe import Recipe
from training.report.results import write_results


def counts(figures: Figures) -> int:
    return figures.true_positives + figures.true_negatives + figures.false_positives + figures.false_negatives


@pytest.mark.parametrize("kind", ["published", "places"])
def test_every_image_is_judged_once_and_written_down(
    found: Dataset, published: PublishedLearner, places: PatchLearner, kind: str, tmp_path: Path
) -> None:
    learner = published if kind == "published" else places
    method = method_of(learner.recipe, learner.material, LeastCost(4), defect_rate=0.1)
    result = cross_validate(learner, make_folds(found.samples, 3, 0), learner.recipe, method, quiet())
    assert [prediction.sample for prediction in result.predictions] == found.samples
    assert counts(result.pooled) == 22 == sum(counts(fold) for fold in result.folds)
    assert result.pooled.protocol == "3 folds pooled: 22 images, each judged once by a network that never saw it"
    assert result.folds[1].protocol == "fold 2 of 3: 7 images, trained on 15 others"
    assert result.pooled.auroc.value > 0.8
    assert {prediction.thresholds.label for prediction in result.predictions} == (
        {0.5} if kind == "published" else {1 / 5}
    )
    write_results(
        tmp_path / "r.json", summary(result, found, learner.recipe, method, {"training": 1.0}), result.predictions
    )
    report = json.loads((tmp_path / "r.json").read_bytes())
    assert report["preset"] == learner.recipe.name
    assert report["recipe"]["kind"] == kind
    assert report["rule"]["name"] == ("fixed" if kind == "published" else "least-cost")
    assert report["data"]["kinds"] == {"good": 12, "scratch": 5, "spot": 5}
    assert len(report["folds"]) == 3
    for row, sample in zip(report["images"], found.samples, strict=True):
        assert (row["path"], row["kind"]) == (sample.name, sample.kind)
        assert row["target"] == ("anomaly" if sample.is_anomaly else "good")
        assert 0 <= row["probability"] <= 1
        assert row["fold"] in {1, 2, 3}


def test_synthetic_anomalies_are_no_part_of_the_figures(found: Dataset, trunk: Trunk) -> None:
    learner = prepare_places(found, trunk, anomalies="synthetic")
    method = method_of(learner.recipe, learner.material, BestBalancedAccuracy())
    result = cross_validate(learner, make_folds(found.samples, 3, 0), learner.recipe, method, quiet())
    assert [prediction.sample for prediction in result.predictions] == found.samples
    assert result.pooled.by_kind.keys() == {"good", "scratch", "spot"}
    assert summary(result, found, learner.recipe, method, {})["data"]["kinds"] == {"good": 12, "scratch": 5, "spot": 5}


# Labels that mean nothing


BY_HEART = tiny_places(penalty=0.0003)
"""So weak a penalty that what is seen in training is known by heart: no leak is overlooked."""


@dataclass(frozen=True)
class Leaky:
    """Trains on everything, whatever it is told."""

    inner: Learner

    @property
    def material(self) -> TrainingSet:
        return self.inner.material

    @property
    def steps(self) -> int:
        return self.inner.steps

    def learn(self, chosen: Indices, advance: Advance = no_progress) -> Model:
        return self.inner.learn(self.material.train_indices(self.material.real), advance)


@dataclass(frozen=True)
class Task:
    """Learners of the same images under other labels."""

    found: Dataset
    trunk: Trunk
    published: PublishedLearner
    places: PatchLearner

    def permuted(self, kind: str, seed: int) -> tuple[Learner, Recipe]:
        """Labels that are shuffled among all images."""
        kinds = np.random.default_rng(seed).permutation([sample.kind for sample in self.found.samples])
        samples = [
            replace(sample, kind=str(kind), mask=None) for sample, kind in zip(self.found.samples, kinds, strict=True)
        ]
        if kind == "both":
            shuffled = replace(self.found, samples=samples)
            return prepare_places(shuffled, self.trunk, BY_HEART, anomalies="both"), BY_HEART
        material = TrainingSet(samples, np.arange(22))
        if kind == "published":
            return replace(self.published, material=material), self.published.recipe
        mask = self.places.coverage.max(axis=0) if kind == "masks" else np.full(64, np.nan, np.float32)
        coverage = np.where(material.is_anomaly[:, None], mask, np.float32(0))
        return replace(self.places, material=material, coverage=coverage, recipe=BY_HEART), BY_HEART


@pytest.fixture(scope="module")
def task(found: Dataset, trunk: Trunk, published: PublishedLearner, places: PatchLearner) -> Task:
    return Task(found, trunk, published, places)


def pooled_auroc(learner: Learner, recipe: Recipe) -> float:
    method = method_of(recipe, learner.material, BestBalancedAccuracy())
    samples = [learner.material.samples[i] for i in learner.material.real]
    predictions = [
        prediction
        for number, split in enumerate(make_folds(samples, 3, 0), 1)
        for prediction in judge_once(learner, split, recipe, method, no_progress, number)
    ]
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    return float(Ranking.of(np.array([prediction.log_odds for prediction in predictions]), truth).auroc()[0])


def chance(draws: int) -> float:
    """How far from 0.5 the mean AUROC of so many shuffles of 10 and 12 labels may lie, once in a hundred times.

    Of U's variance without ties (Mann & Whitney 1947).
    """
    return 2.576 * float(np.sqrt((10 + 12 + 1) / (12 * 10 * 12) / draws))


@pytest.mark.parametrize("kind", ["published", "masks", "no masks", "both"])
def test_with_shuffled_labels_it_is_no_better_or_worse_than_chance(task: Task, kind: str) -> None:
    draws = [pooled_auroc(*task.permuted(kind, seed)) for seed in range(3)]
    assert len(set(draws)) > 1
    assert np.mean(draws) == pytest.approx(0.5, abs=chance(3))


@pytest.mark.parametrize("kind", ["published", "no masks", "both"])
def test_a_leak_would_show(task: Task, kind: str) -> None:
    """The test above can fail: with a learner that sees the test part it does."""
    learners = [task.permuted(kind, seed) for seed in range(3 if kind == "published" else 1)]
    draws = [pooled_auroc(Leaky(learner), recipe) for learner, recipe in learners]
    assert np.mean(draws) > 0.5 + chance(len(draws))
