"""The images that a trunk is narrowed on: good ones, defective ones, and synthetic anomalies.

Good images alone don't show which channels a defect excites.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.data.splits import Indices
from training.data.training_set import TrainingSet
from training.features.extraction import ImageLoader
from training.narrow.patch_samples import Pixels
from training.synthetic import synthesise

OF_EACH: Final = 12


@dataclass(frozen=True, eq=False)
class NarrowingImages:
    """Images with what is known of their patches."""

    pixels: Pixels
    """uint8 n×S×S×3."""
    coverage: NDArray[np.float32]
    """n×P: the defective share of each patch; NaN where an anomaly has no mask."""


def narrowing_images(
    training_set: TrainingSet,
    loaders: Sequence[ImageLoader],
    coverage: NDArray[np.float32],
    indices: Indices,
    seed: int,
) -> NarrowingImages:
    """Up to 12 good images, 12 anomalies and 12 synthetic ones, made of other good images where there are enough.

    `loaders` and `coverage`, N×P, are of the samples; nothing but those at `indices` is looked at.
    """
    rng = np.random.default_rng(seed)
    is_anomaly = training_set.is_anomaly[indices]
    good, bad = rng.permutation(indices[~is_anomaly]), rng.permutation(indices[is_anomaly])
    sources = good[-OF_EACH:]
    side = math.isqrt(coverage.shape[1])
    made = synthesise([training_set.samples[i] for i in sources], [loaders[i] for i in sources], seed, side)
    real = [*good[:OF_EACH], *bad[:OF_EACH]]
    return NarrowingImages(
        np.stack([loaders[i]() for i in real] + made.images),
        np.concatenate([coverage[real], made.coverage.reshape(len(made.images), -1)]),
    )
