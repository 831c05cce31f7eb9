"""The regression of patches on a trunk made narrow for the samples that are learnt from."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from model.hypercolumn import narrow_widths
from model.network import VGG16CAM
from training.data.splits import Indices, Split
from training.data.training_set import TrainingSet
from training.estimators.estimator import CrossValidated, FoldResult
from training.estimators.inner_folds import cross_validated, predict_fold, predict_folds
from training.estimators.network import fresh_network
from training.estimators.patch_features import PatchInputs, patch_features
from training.estimators.patch_regression import PatchRegression
from training.estimators.patches import PreparedPatches
from training.evaluation.post_processing import Method
from training.features.imagenet import Trunk
from training.features.measuring import Measures
from training.narrow.images import narrowing_images
from training.narrow.narrowing import narrowed
from training.narrow.targets import TargetCache, Targets, find_targets
from training.progress import Advance, no_progress
from training.recipe import Patches


@dataclass(frozen=True, eq=False)
class PreparedNarrowPatches:
    """All samples, from any part of which a trunk can be narrowed and regressed on.

    Each fit computes the features of all samples anew, since each has a trunk of its own.
    """

    inputs: PatchInputs
    trunk: Trunk
    recipe: Patches
    share: float
    """Share of each layer's channels that the narrow trunks have."""
    device: str
    timed: Callable[[str], AbstractContextManager[None]]
    """Keeps the seconds of a phase (see `Reporter.timed`)."""
    targets: TargetCache
    """Of the same samples and recipe; trunks of several shares have it in common."""

    @property
    def training_set(self) -> TrainingSet:
        return self.inputs.training_set

    @property
    def measures(self) -> Measures:
        return self.inputs.measures

    @property
    def fit_steps(self) -> int:
        return self.recipe.mining_rounds

    def fit(self, indices: Indices, advance: Advance = no_progress) -> PatchRegression:
        """Narrow the trunk on these samples alone, and regress on its features of them."""
        return self._narrowed(indices).fit(indices, advance)

    def cross_val_predict(self, real: Indices, advance: Advance) -> CrossValidated:
        """As the full trunk's; every fold narrows its own."""
        return cross_validated(self, real, list(predict_folds(self, real, advance)), advance)

    def predict_fold(self, split: Split, method: Method, advance: Advance, fold: int) -> FoldResult:
        """Narrow once on the training part, within which thresholds are chosen by regressions on that trunk."""
        prepared = self._narrowed(self.training_set.train_indices(split.train))
        return predict_fold(prepared, split, method, advance, fold)

    def _narrowed(self, indices: Indices) -> PreparedPatches:
        """Features of all samples by a trunk that has seen these alone."""
        recipe, widths = self.recipe, narrow_widths(self.share)
        with self.timed("narrowing"):
            network = fresh_network(self.trunk, recipe.hypercolumn, recipe.seed, self.device)
            targets = self.targets(indices, partial(self._find_targets, network, indices))
            trunk = narrowed(network, widths, targets)
        own = msgspec.structs.replace(recipe, hypercolumn=replace(recipe.hypercolumn, trunk=widths))
        with self.timed("narrow features"):
            features = patch_features(self.inputs, trunk, own, self.device)
        coverage = self.inputs.coverage
        return PreparedPatches(self.training_set, *features, coverage, trunk, own, self.measures, self.device)

    def _find_targets(self, network: VGG16CAM, indices: Indices) -> Targets:
        recipe, tiles = self.recipe, self.inputs.one_tile_each(self.recipe)
        images = narrowing_images(self.training_set, *tiles, indices, recipe.seed)
        return find_targets(network, narrow_widths(recipe.narrow_shares[-1]), images, recipe.seed)
