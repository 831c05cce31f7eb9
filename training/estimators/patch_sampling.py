"""Draws the patches of the training images that a round of the regression learns from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.splits import Indices
from training.estimators.logistic import FeatureScale, LinearModel
from training.features.extraction import Features
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
    count."""

    features: Features
    coverage: Floats
    recipe: Patches

    def good(self, images: Indices, rng: np.random.Generator) -> Floats:
        """Features n×C of patches drawn from good images, as many from each."""
        count = self._per_image(self.recipe.good_patches, images)
        patches = map(self._counted, images)
        return np.concatenate([each[rng.choice(len(each), count, replace=False)] for each in patches])

    def masked(self, images: Indices, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Features n×C and targets n, 0 to 1, of patches on defects and of as many beside them, by the masks."""
        features = [np.zeros((0, self.features.shape[2]), np.float32)]
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
            most = max(1, _MOST_PSEUDO_LABELS * len(scores) / self.recipe.tiles)
            count = int(np.clip((scores > level).sum(), 1, most))
            found.append(patches[np.argpartition(-scores, count - 1)[:count]])
        return np.concatenate(found)

    def hardest(self, good: Indices, scale: FeatureScale, model: LinearModel) -> Floats:
        """Standardised features n×C of the patches of good images that `model` takes for the most defective."""
        count = self._per_image(self.recipe.hard_patches, good)
        raw = model.unstandardised(scale)
        patches = map(self._counted, good)
        return np.concatenate([scale(each[np.argpartition(-raw(each), count - 1)[:count]]) for each in patches])

    def _counted(self, image: int) -> Floats:
        """Features n×C of those of an image's patches that count."""
        counts = ~(self.coverage[image] < 0)
        patches = np.asarray(self.features[image])
        return patches if counts.all() else patches[counts]

    def _per_image(self, together: int, images: Indices) -> int:
        """`together` patches divided among the images, rounded up, and no more than any has that count."""
        fewest = int((~(self.coverage[images] < 0)).sum(axis=1).min())
        return min(fewest, -(-together // len(images)))
