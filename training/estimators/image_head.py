"""The image head: a regression of whole images beside that of patches.

It sees what a defect changes everywhere, or changes too little in any one patch.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.estimators.logistic import FeatureScale, Floats, LinearModel, fit_logistic

ImageLogOdds = NDArray[np.float32]
"""Log-odds n of images by the image head."""
_PENALTY: Final = 1e-3
_MOST: Final = 0.25
"""Largest weight of the image head, in standard deviations for one of the patches'. Nearly all that it brings to the
verdict it brings with so little; with more, regions no longer lie on the defect (docs/experiments.md)."""


def fit_image_head(means: Floats, is_anomaly: NDArray[np.bool_], l2_penalty: float) -> LinearModel:
    """Logistic regression of images, n, on their features' means, n×C."""
    scale = FeatureScale.fit(means)
    return fit_logistic(scale(means), is_anomaly.astype(np.float32), l2_penalty).unstandardised(scale)


def choose_image_weight(
    pooled: NDArray[np.float64], image_log_odds: ImageLogOdds | None, is_anomaly: NDArray[np.bool_]
) -> float:
    """Factor by which the image head is to be added to maps whose pooled log-odds, n, are `pooled`; at least 0.

    Stacking (Wolpert 1992; Ting & Witten 1999, section 3): logistic regression of held-out images on both.
    """
    if image_log_odds is None or np.ptp(image_log_odds) == 0 or np.ptp(pooled) == 0:
        return 0.0
    both = np.stack([pooled, image_log_odds], axis=1)
    deviations = both.std(axis=0)
    standardised = ((both - both.mean(axis=0)) / deviations).astype(np.float32)
    of_patches, of_image = fit_logistic(standardised, is_anomaly.astype(np.float32), _PENALTY).weights.tolist()
    if of_image <= 0:
        return 0.0
    return float(min(of_image / of_patches, _MOST) if of_patches > 0 else _MOST) * float(deviations[0] / deviations[1])


def add_image_head(
    maps: NDArray[np.float32], image_log_odds: ImageLogOdds | None, weight: float
) -> NDArray[np.float32]:
    """Evidence maps n×h×w of the network that has the image head with this weight."""
    return maps if image_log_odds is None else maps + np.float32(weight) * image_log_odds[:, None, None]
