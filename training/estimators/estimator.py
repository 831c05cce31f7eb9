"""The protocol of both ways to learn: a recipe makes an estimator, which is prepared, fitted and cross-validated.

The verbs are scikit-learn's; what is fitted is a new object each time, so that any part of the data can be learnt from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.appearance import Appearance
from model.network import VGG16CAM
from model.trunk_choice import CascadeTrial, TrunkChoice
from training.data.samples import Sample
from training.data.splits import Indices, Split
from training.data.training_set import Anomalies, TrainingSet
from training.estimators.image_head import ImageLogOdds
from training.evaluation.clearing import Clearing
from training.evaluation.gate_limits import Features, HeldOutMeasures
from training.evaluation.post_processing import Maps, Method, OutOfFold
from training.evaluation.prediction import Prediction
from training.evaluation.thresholds import Rule
from training.features.measuring import APPEARANCE, Measures
from training.progress import Advance
from training.recipe import Recipe
from training.training_run import TrainingRun


class FittedEstimator(Protocol):
    """A trained network, which reads the prepared features of any sample."""

    def evidence(self, indices: Indices) -> Maps:
        """Evidence maps n×h×w of the training set's samples at `indices`, in log-odds, without the image head."""

    def features(self, indices: Indices) -> Features:
        """The gate's features n×F of the same samples, as the exported network gives them."""

    def image_log_odds(self, indices: Indices) -> ImageLogOdds | None:
        """Log-odds n of the same samples by the image head; None where the recipe has none, or it learnt nothing."""

    def to_network(self, image_weight: float = 0.0) -> VGG16CAM:
        """The whole network on the CPU, with `image_weight` times the image head added to every patch."""


@dataclass(frozen=True, eq=False)
class FittedCascade:
    """A narrow network that clears good images before the full one."""

    narrow: FittedEstimator
    clearing: Clearing
    trial: CascadeTrial
    """Why that is allowed."""


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """A fitted estimator, with predictions of samples that the network that made them had not seen."""

    model: FittedEstimator
    """The network to export."""
    out_of_fold: OutOfFold
    """Evidence by other networks of the same recipe, or by `model` of samples that were kept from it."""
    protocol: str
    """Which samples those are, and which networks predicted them."""
    appearance: Appearance
    """What the samples look like to `model`."""
    measures: HeldOutMeasures
    """Of the real samples that were predicted."""
    trunk_choice: TrunkChoice | None = None
    """Why it has a narrow trunk or the full one; None: that was not compared."""
    cascade: FittedCascade | None = None
    """What clears images before `model`; None: nothing does."""


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What a cross-validation is told of one of its folds."""

    predictions: list[Prediction]
    """Of its test part."""
    trunk_choice: TrunkChoice | None = None
    """Why a narrow trunk predicted it or the full one; None: that was not compared."""


class FoldPredictor(Protocol):
    """What a cross-validation needs of an estimator."""

    @property
    def training_set(self) -> TrainingSet:
        """The samples that all indices refer to."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def fit_steps(self) -> int:
        """Largest number of calls of `advance` by one `fit`."""

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """Fit on `split.train` and predict `split.test`, which influences no probability, threshold or decision."""


class PreparedEstimator(FoldPredictor, Protocol):
    """An estimator with everything that it needs of the images, computed once."""

    @property
    def measures(self) -> Measures:
        """Of the real samples, without their appearance."""

    def fit(self, indices: Indices, advance: Advance = ...) -> FittedEstimator:
        """Train on these samples alone. Raises RecipeError where training diverges."""

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """Fit on these real samples and what is made from them, and predict them, or some, out of fold.

        Raises DataError where there are too few for that.
        """


class Estimator(Protocol):
    """A recipe's way to learn, which can be checked and sized before any feature is computed."""

    def method(
        self, samples: Sequence[Sample], rule: Rule, *, defect_rate: float | None = None, use_masks: bool = True
    ) -> Method:
        """How calibration and thresholds are chosen where `rule` is asked for."""

    def splits(self, samples: Sequence[Sample], anomalies: Anomalies) -> list[Split]:
        """Divisions of the real samples by which `cross_val_predict` chooses thresholds; none where it uses none of
        them. Raises DataError where there are too few images, or groups of them."""

    def check_fold(self, samples: Sequence[Sample], split: Split) -> None:
        """Raise DataError now, not after hours, where `predict_fold` would for want of images, or of groups."""

    def features_size(self, samples: Sequence[Sample], anomalies: Anomalies) -> int:
        """Bytes on disk of what `prepare` computes of these images."""

    def prepare(self, run: TrainingRun) -> PreparedEstimator:
        """Compute the features of every image, once. Raises RecipeError for anomalies that it can't learn from."""


def predict(training_set: TrainingSet, model: FittedEstimator, indices: Indices, fold: int) -> OutOfFold:
    """Evidence of samples that `model` hasn't seen, as one fold."""
    samples = [training_set.samples[i] for i in indices]
    return OutOfFold(
        samples, model.evidence(indices), np.full(len(indices), fold, np.intp), model.image_log_odds(indices)
    )


def measure(
    prepared: PreparedEstimator, model: FittedEstimator, appearance: Appearance, indices: Indices, fold: int
) -> HeldOutMeasures:
    """All checks' values of the real ones among these samples, which neither model has seen, as one fold."""
    real = indices[~prepared.training_set.is_synthetic[indices]]
    values = prepared.measures[real]
    values[:, APPEARANCE] = appearance.distance(model.features(real))
    return HeldOutMeasures(values, prepared.training_set.is_anomaly[real], np.full(len(real), fold, np.intp))


def steps(estimator: FoldPredictor) -> int:
    """Largest number of calls of `advance` by `cross_val_predict`, or by `predict_fold`."""
    return estimator.fit_steps * (estimator.recipe.inner_folds + 1)
