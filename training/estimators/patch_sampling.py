"""Draws the patches of the training images that a round of the regression learns from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.splits import Indices
from training.estimators.logistic import FeatureScale, LinearModel
from training.features.extraction import PatchFeatures
from training.recipe import Patches

Floats = NDArray[np.float32]
Score = Callable[[Floats], Floats]
"""Standardised features n×C to how anomalous each patch is, n."""
_MOST_PSEUDO_LABELS: Final = 0.04
"""Largest share of a tile's patches that are taken for defective without a mask, of all of an image's together."""
_FULL: Final = 0.25
"""Share of a patch that is defective from which the whole patch counts as defective."""
_GOOD_COMPARED: Final = 60
"""Good images, about, whose patches give the level of pseudo-labels."""


@dataclass(frozen=True, eq=False)
class PatchSampler:
    """Draws patches from the features V·N×P×C; `coverage` V·N×P is the defective share of each, −1 where it doesn't
    count, or an image has no more; `tiles` V·N, of how many an image has."""

    features: PatchFeatures
    coverage: Floats
    tiles: Sequence[int]
    recipe: Patches

    def good(self, images: Indices, rng: np.random.Generator) -> Floats:
        """Features n×C of patches drawn from good images, as many from each that has them."""
        most = -(-self.recipe.good_patches // len(images))
        patches = map(self._counted, images)
        return np.concatenate([each[rng.choice(len(each), min(most, len(each)), replace=False)] for each in patches])

    def masked(self, images: Indices, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Features n×C and targets n, 0 to 1, of patches on defects and of as many beside them, by the masks."""
        features = [np.zeros((0, self.features[0].shape[1]), np.float32)]
        targets = [np.zeros(0, np.float32)]
        for i in images:
            on, beside = np.flatnonzero(self.coverage[i] > 0), np.flatnonzero(self.coverage[i] == 0)
            for patches in (on, beside):
                some = rng.permutation(patches)[: self.recipe.defect_patches]
                features.append(self.features[i][some])
                targets.append(np.minimum(1, self.coverage[i][some] / np.float32(_FULL)))
        return np.concatenate(features), np.concatenate(targets).astype(np.float32)

    def pseudo_labelled(self, anomalies: Indices, good: Indices, scale: FeatureScale, score: Score) -> Floats:
        """Standardised features n×C of patches of anomalies without a mask that are taken for defective.

        They score above nearly all patches of good images; of each anomaly, at least the strongest is taken.
        """
        some = good[:: -(-len(good) // _GOOD_COMPARED)]
        scores_of_good = np.concatenate([score(scale(self._counted(i))) for i in some])
        level = np.quantile(scores_of_good, 1 - self.recipe.pseudo_label_share)
        found = []
        for i in anomalies:
            patches = scale(self._counted(i))
            scores = score(patches)
            most = max(1, _MOST_PSEUDO_LABELS * len(scores) / self.tiles[i])
            count = int(np.clip((scores > level).sum(), 1, most))
            found.append(_highest(patches, scores, count))
        return np.concatenate(found)

    def hardest(self, good: Indices, scale: FeatureScale, model: LinearModel) -> Floats:
        """Standardised features n×C of the patches of good images that `model` takes for the most defective."""
        most = -(-self.recipe.hard_patches // len(good))
        raw = model.unstandardised(scale)
        patches = map(self._counted, good)
        return np.concatenate([scale(_highest(each, raw(each), min(most, len(each)))) for each in patches])

    def _counted(self, image: int) -> Floats:
        """Features n×C of those of an image's patches that count."""
        patches = np.asarray(self.features[image])
        counts = ~(self.coverage[image][: len(patches)] < 0)
        return patches if counts.all() else patches[counts]


def _highest(patches: Floats, scores: Floats, count: int) -> Floats:
    """The `count` patches of n×C with the highest scores n."""
    return patches[np.argpartition(-scores, count - 1)[:count]]
