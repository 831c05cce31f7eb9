"""Learning which patches are defective: logistic regression on ImageNet's features, repeated on hard patches.

Beside it, where the hypercolumn has one, the image head: a regression of whole images on the means of the same
features.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.splits import Indices, Split
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, FoldResult
from training.estimators.examples import Examples
from training.estimators.image_head import fit_image_head
from training.estimators.inner_folds import cross_validated, predict_fold, predict_folds
from training.estimators.logistic import FeatureScale, LinearModel, fit_logistic
from training.estimators.mahalanobis import MahalanobisDistance
from training.estimators.patch_regression import PatchRegression
from training.estimators.patch_sampling import PatchSampler, Score
from training.evaluation.post_processing import Method
from training.features.extraction import PatchFeatures
from training.features.imagenet import Trunk
from training.features.measuring import Measures
from training.frame_sizes import patch_grid, tiles_of
from training.progress import Advance, no_progress
from training.recipe import Patches

Floats = NDArray[np.float32]
_FIRST_ITERATIONS: Final = 60
_LATER_ITERATIONS: Final = 30


@dataclass(frozen=True, eq=False)
class PreparedPatches:
    """The features of every patch, from which any part of the samples can be regressed on.

    Rows are N samples as they are, then all of them in each flipped copy: V·N in all.
    """

    training_set: TrainingSet
    features: PatchFeatures
    """V·N×P×C: C features of each of an image's P patches."""
    grid_features: Floats
    """N×F: the gate's features of each sample."""
    means: Floats
    """V·N×C: each image's features, averaged over its patches."""
    coverage: Floats
    """V·N×P: the defective share of each patch; NaN where an anomaly has no mask, −1 where a patch doesn't count, or an
    image has no more."""
    trunk: Trunk
    recipe: Patches
    measures: Measures
    """Of the real samples, for the gate."""
    device: str = "cpu"
    """Where regressions are computed."""
    draw: int = 0
    """Which of the draws of good patches is learnt from: another one tells how much depends on it."""

    @cached_property
    def grids(self) -> list[tuple[int, int]]:
        """Height and width of each of the samples' evidence map, in patches."""
        return [patch_grid(self.recipe, sample) for sample in self.training_set.samples]

    @property
    def fit_steps(self) -> int:
        return self.recipe.mining_rounds

    def fit(self, indices: Indices, advance: Advance = no_progress) -> PatchRegression:
        """Regress on these samples' patches alone, in all flipped copies; the same seed gives the same weights.

        Good patches are drawn at random, and each round adds those that the last one took for the most defective
        (bootstrapping, Sung & Poggio 1998; Felzenszwalb et al. 2010, section 4.4). Where an anomaly has no mask, its
        defective patches get pseudo-labels: first those farthest from good ones, then those that the last model found
        (MI-SVM's alternation, Andrews et al. 2003, section 4).
        """
        recipe, copies = self.recipe, len(self.features) // len(self.training_set.samples)
        tiles = [tiles_of(recipe, sample) for sample in self.training_set.samples] * copies
        sampler = PatchSampler(self.features, self.coverage, tiles, recipe)
        rng = np.random.default_rng(recipe.seed + self.draw)
        good, bad = (self._with_copies(part) for part in self._by_class(indices))
        unmasked = bad[np.isnan(self.coverage[bad]).any(axis=1)]
        drawn = sampler.good(good, rng)
        masked, known_targets = sampler.masked(np.setdiff1d(bad, unmasked), rng)
        scale = FeatureScale.fit(np.concatenate([drawn, masked]))
        room = len(drawn) + len(masked) + recipe.mining_rounds * (recipe.hard_patches + len(good))
        examples = Examples(drawn.shape[1], room, self.device)
        examples.add(scale(drawn), np.zeros(len(drawn), np.float32))
        examples.add(scale(masked), known_targets)
        score: Score | None = MahalanobisDistance.fit(scale(drawn)) if len(unmasked) else None
        model: LinearModel | None = None
        for number in range(1, recipe.mining_rounds + 1):
            pseudo = drawn[:0] if score is None else sampler.pseudo_labelled(unmasked, good, scale, score)
            model = fit_logistic(
                *examples.followed_by(pseudo, np.ones(len(pseudo), np.float32)),
                recipe.l2_penalty,
                start=model,
                iterations=_FIRST_ITERATIONS if model is None else _LATER_ITERATIONS,
            )
            if len(unmasked):
                score = model
            if number < recipe.mining_rounds:
                hardest = sampler.hardest(good, scale, model)
                examples.add(hardest, np.zeros(len(hardest), np.float32))
            advance()
        assert model is not None
        return PatchRegression(model.unstandardised(scale), self._fit_image_head(indices), self)

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """Predict each of these samples, or what stands in for their anomalies, by a model of the other folds."""
        parts = list(predict_folds(self, real, advance))
        return cross_validated(self, real, parts, advance)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """Calibration, thresholds and heatmap scale are chosen by cross-validation within the training part."""
        return predict_fold(self, split, method, advance, fold)

    def _fit_image_head(self, indices: Indices) -> LinearModel | None:
        """The image head, of real samples alone: how synthetic anomalies were made would show in whole images."""
        real = indices[~self.training_set.is_synthetic[indices]]
        if not self.recipe.hypercolumn.image_head or not self.training_set.is_anomaly[real].any():
            return None
        rows = self._with_copies(real)
        is_anomaly = np.tile(self.training_set.is_anomaly[real], len(rows) // len(real))
        return fit_image_head(self.means[rows], is_anomaly, self.recipe.image_l2_penalty)

    def _by_class(self, indices: Indices) -> tuple[Indices, Indices]:
        """Indices of the good samples, and of the anomalies."""
        is_anomaly = self.training_set.is_anomaly[indices]
        return indices[~is_anomaly], indices[is_anomaly]

    def _with_copies(self, indices: Indices) -> Indices:
        """Rows of these samples' features, as they are and in each flipped copy."""
        return np.concatenate(
            [indices + first for first in range(0, len(self.features), len(self.training_set.samples))]
        )
