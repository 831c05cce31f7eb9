"""The images that a trunk is narrowed on: good ones, defective ones, and synthetic anomalies.

Good images alone don't show which channels a defect excites.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from training.data.splits import Indices
from training.data.training_set import TrainingSet
from training.features.extraction import ImageLoader
from training.narrow.patch_samples import Pixels
from training.synthetic import synthesise

_OF_EACH: Final = 12


def narrowing_images(
    training_set: TrainingSet, loaders: Sequence[ImageLoader], indices: Indices, seed: int, side: int
) -> Pixels:
    """Up to 12 good images, 12 anomalies and 12 synthetic ones, made of yet other good images: uint8 n×S×S×3.

    Nothing but the samples at `indices` is looked at. `side`: patches along a side of the image.
    """
    rng = np.random.default_rng(seed)
    is_anomaly = training_set.is_anomaly[indices]
    good, bad = rng.permutation(indices[~is_anomaly]), rng.permutation(indices[is_anomaly])
    sources = good[-_OF_EACH:]
    made = synthesise([training_set.samples[i] for i in sources], [loaders[i] for i in sources], seed, side)
    return np.stack([loaders[i]() for i in (*good[:_OF_EACH], *bad[:_OF_EACH])] + made.images)
