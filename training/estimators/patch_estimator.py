"""The recipe of patches: which samples it needs, and which trunk it is prepared with."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from model.evidence import Pooling
from model.hypercolumn import narrow_widths
from training.data.samples import Sample
from training.data.splits import Split, make_folds
from training.data.training_set import Anomalies, available
from training.estimators.estimator import PreparedEstimator
from training.estimators.narrow_patches import PreparedNarrowPatches
from training.estimators.patch_features import PatchInputs, most_images, patch_features, patch_inputs
from training.estimators.patches import PreparedPatches
from training.estimators.trunk_comparison import PreparedTrunkComparison
from training.evaluation.post_processing import Method
from training.evaluation.thresholds import Rule
from training.features.augmentation import count_of_copies
from training.frame_sizes import patches_of
from training.narrow.targets import TargetCache, targets_size
from training.recipe import Patches
from training.synthetic.samples import MOST
from training.training_run import TrainingRun

_STRONGEST: Final = (1, 2, 4, 8, 16, 32)
"""Numbers of patches that a frame's evidence may be pooled over, beside the recipe's share of all."""


@dataclass(frozen=True)
class PatchEstimator:
    """Regression of patches, calibrated and measured by cross-validation."""

    recipe: Patches

    def method(
        self, samples: Sequence[Sample], rule: Rule, *, defect_rate: float | None = None, use_masks: bool = True
    ) -> Method:
        """Thresholds by the rule; the calibration is fitted to out-of-fold evidence."""
        recipe = self.recipe
        others = () if recipe.frame is None else tuple(Pooling(strongest=number) for number in _STRONGEST)
        many_sizes = recipe.frame is not None and recipe.frame.scale is not None
        return Method(
            recipe.pooling,
            rule,
            defect_rate,
            use_masks=use_masks,
            one_size=recipe.frame is not None and not many_sizes,
            many_sizes=many_sizes,
            other_poolings=others,
        )

    def splits(self, samples: Sequence[Sample], anomalies: Anomalies) -> list[Split]:
        """The inner folds; none where synthetic anomalies alone choose thresholds."""
        if available(anomalies, samples) == "synthetic":
            return []
        return make_folds(samples, self.recipe.inner_folds, self.recipe.seed)

    def check_fold(self, samples: Sequence[Sample], split: Split) -> None:
        """The training part is divided into the inner folds."""
        make_folds([samples[i] for i in split.train], self.recipe.inner_folds, self.recipe.seed)

    def features_size(self, samples: Sequence[Sample], anomalies: Anomalies) -> int:
        """Every patch's features, float32, with flipped copies and synthetic anomalies, of each trunk that is used, and
        the targets of narrow ones."""
        recipe, images = self.recipe, list(samples)
        if available(anomalies, samples) != "real":  # whichever are drawn
            good = sorted((sample for sample in samples if not sample.is_anomaly), key=partial(patches_of, recipe))
            images += good[-MOST:]
        trunks = 2 if recipe.trunk == "auto" else 1
        copies = count_of_copies(len(images), recipe.flips, most_images(recipe, images))
        values = copies * sum(patches_of(recipe, sample) for sample in images) * recipe.hypercolumn.channels
        return trunks * values * np.dtype(np.float32).itemsize + self._targets_size

    @property
    def _targets_kept(self) -> int:
        """How many: of all folds, where the next width narrows on them again."""
        recipe = self.recipe
        return recipe.inner_folds if recipe.trunk == "auto" and len(recipe.narrow_shares) > 1 else 0

    @property
    def _targets_size(self) -> int:
        if self.recipe.trunk == "full":
            return 0
        size = targets_size(self.recipe.hypercolumn, narrow_widths(self.recipe.narrow_shares[-1]))
        return max(1, self._targets_kept) * size

    def prepare(self, run: TrainingRun) -> PreparedEstimator:
        """Compute every patch's features by the full trunk, once; a narrow one's are computed fit by fit."""
        recipe, inputs, targets = self.recipe, patch_inputs(run, self.recipe), TargetCache(self._targets_kept)
        narrow = [
            PreparedNarrowPatches(inputs, run.trunk, recipe, share, run.device, run.reporter.timed, targets)
            for share in recipe.narrow_shares
        ]
        if recipe.trunk == "narrow":
            return narrow[-1]
        full = self._full(run, inputs)
        return full if recipe.trunk == "full" else PreparedTrunkComparison(full, narrow, run.method, run.reporter.line)

    def _full(self, run: TrainingRun, inputs: PatchInputs) -> PreparedPatches:
        with run.reporter.task("features", len(inputs.loaders)) as advance:
            features = patch_features(inputs, run.trunk, self.recipe, run.device, advance)
        coverage, measures = inputs.coverage, inputs.measures
        return PreparedPatches(inputs.training_set, *features, coverage, run.trunk, self.recipe, measures, run.device)
