"""The ways to train, and what each of them makes of the data set that all these tests share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
import pytest

from model.network import VGG16CAM
from tests.training.conftest import fitting, tiny_fine_tuning, tiny_patches, training_run
from training.data.dataset import Dataset
from training.data.splits import Indices, Split, make_folds
from training.estimators.estimator import FittedEstimator, PreparedEstimator
from training.estimators.factory import estimator_for
from training.estimators.image_head import ImageLogOdds
from training.evaluation.post_processing import Maps, Method
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import BestBalancedAccuracy
from training.features.imagenet import Trunk
from training.pipeline import FittedPipeline, fit_pipeline
from training.progress import Advance, no_progress
from training.recipe import Recipe

T = TypeVar("T")
RULE: Final = BestBalancedAccuracy()
RATE: Final = 0.03
"""The line's defect rate, so that shifts show."""


@dataclass(frozen=True)
class Mode:
    """One way to train."""

    recipe: Recipe
    choices: dict[str, Any] = field(default_factory=dict)
    """Anomalies and use_masks, where they aren't the default."""

    def prepare(self, dataset: Dataset, trunk: Trunk) -> PreparedEstimator:
        return estimator_for(self.recipe).prepare(training_run(dataset, trunk, self.recipe, **self.choices))

    def method(self, estimator: PreparedEstimator) -> Method:
        training_set, use_masks = estimator.training_set, self.choices.get("use_masks", True)
        samples = [training_set.samples[i] for i in training_set.real]
        return estimator_for(self.recipe).method(samples, RULE, defect_rate=RATE, use_masks=use_masks)

    def predict(self, estimator: PreparedEstimator, split: Split) -> list[Prediction]:
        return estimator.predict_fold(split, self.method(estimator), no_progress, 1).predictions

    def fit(self, estimator: PreparedEstimator) -> FittedPipeline:
        return fit_pipeline(estimator, self.method(estimator), no_progress)


MODES: Final = {
    "fine-tuning": Mode(tiny_fine_tuning()),
    "masks": Mode(tiny_patches()),
    "no masks": Mode(tiny_patches(), {"use_masks": False}),
    "synthetic": Mode(tiny_patches(), {"anomalies": "synthetic"}),
    "both": Mode(tiny_patches(), {"anomalies": "both"}),
}
every_mode = pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
Prepared = Callable[[Mode], PreparedEstimator]
Predicted = Callable[[Mode], list[Prediction]]
Fitted = Callable[[Mode], FittedPipeline]


@pytest.fixture(scope="session")
def prepared(dataset: Dataset, trunk: Trunk) -> Prepared:
    """Each mode's estimator of `dataset`."""
    return _once(lambda mode: mode.prepare(dataset, trunk))


@pytest.fixture(scope="session")
def split(dataset: Dataset) -> Split:
    return make_folds(dataset.samples, 3, 0)[0]


@pytest.fixture(scope="session")
def predicted(prepared: Prepared, split: Split) -> Predicted:
    """What each mode predicts of the test part."""
    return _once(lambda mode: mode.predict(prepared(mode), split))


@pytest.fixture(scope="session")
def fitted(prepared: Prepared) -> Fitted:
    """What each mode makes of everything."""
    return _once(lambda mode: mode.fit(prepared(mode)))


def _once(work: Callable[[Mode], T]) -> Callable[[Mode], T]:
    done: dict[int, T] = {}

    def of(mode: Mode) -> T:
        if id(mode) not in done:
            done[id(mode)] = work(mode)
        return done[id(mode)]

    return of


def outputs(predictions: list[Prediction], mode: Mode) -> dict[str, tuple[Any, ...]]:
    """All that is predicted of each image. Fine-tuning's heatmap scale comes from the test part itself."""
    return {
        p.sample.name: (p.log_odds, p.thresholds, p.shift, None if mode is MODES["fine-tuning"] else p.heatmap_scale)
        for p in predictions
    }


@dataclass
class Watched:
    """Keeps what the networks of a copy of an estimator see, which refuse to predict what they have learnt from."""

    inner: PreparedEstimator
    learnt: list[Indices] = field(default_factory=list)
    predicted: list[Indices] = field(default_factory=list)

    @property
    def estimator(self) -> PreparedEstimator:
        return fitting(self.inner, self._fit)

    def _fit(self, indices: Indices, advance: Advance) -> FittedEstimator:
        self.learnt.append(indices)
        return WatchedModel(self.inner.fit(indices, advance), indices, self)


@dataclass
class WatchedModel:
    inner: FittedEstimator
    learnt: Indices
    watched: Watched

    def evidence(self, indices: Indices) -> Maps:
        """What it learnt from, or was made from, is none of these, nor of their groups."""
        training_set = self.watched.inner.training_set
        assert not np.intersect1d(training_set.source[self.learnt], training_set.source[indices]).size
        groups = [{training_set.samples[i].group for i in part} for part in (self.learnt, indices)]
        assert not groups[0] & groups[1]
        self.watched.predicted.append(indices)
        return self.inner.evidence(indices)

    def features(self, indices: Indices) -> Maps:
        return self.inner.features(indices)

    def image_log_odds(self, indices: Indices) -> ImageLogOdds | None:
        assert np.array_equal(self.watched.predicted[-1], indices)
        return self.inner.image_log_odds(indices)

    def to_network(self, image_weight: float = 0.0) -> VGG16CAM:
        return self.inner.to_network(image_weight)
