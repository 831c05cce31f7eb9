"""The image head: a regression of whole images beside that of patches.

It sees what a defect changes everywhere, or changes too little in any one patch.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.estimators.logistic import FeatureScale, Floats, LinearModel, fit_logistic

ImageLogOdds = NDArray[np.float32]
"""Log-odds n of images by the image head."""
_PENALTY: Final = 1e-3
_MOST: Final = 4.0
"""Largest weight of the image head in the verdict, in standard deviations for one of the patches'."""
_MOST_SHOWN: Final = 0.25
"""The same in heatmaps. With more, regions no longer lie on the defect; the verdict is the better for more
(docs/experiments.md)."""


@dataclass(frozen=True)
class HeadWeights:
    """Factors by which the image head's log-odds are added to every patch of an evidence map."""

    verdict: float = 0.0
    """Of the map that is pooled."""
    heatmap: float = 0.0
    """Of the map that is shown; not above the other."""

    @property
    def share(self) -> float:
        """What heatmaps show of what the verdict has."""
        return self.heatmap / self.verdict if self.verdict else 1.0

    @property
    def beyond(self) -> float:
        """Factor of what the verdict has, and heatmaps don't show."""
        return self.verdict - self.heatmap


def fit_image_head(means: Floats, is_anomaly: NDArray[np.bool_], l2_penalty: float) -> LinearModel:
    """Logistic regression of images, n, on their features' means, n×C."""
    scale = FeatureScale.fit(means)
    return fit_logistic(scale(means), is_anomaly.astype(np.float32), l2_penalty).unstandardised(scale)


def choose_head_weights(
    pooled: NDArray[np.float64], image_log_odds: ImageLogOdds | None, is_anomaly: NDArray[np.bool_]
) -> HeadWeights:
    """Weights of the image head beside maps whose pooled log-odds, n, are `pooled`.

    Stacking (Wolpert 1992; Ting & Witten 1999, section 3): logistic regression of held-out images on both.
    """
    if image_log_odds is None or np.ptp(image_log_odds) == 0 or np.ptp(pooled) == 0:
        return HeadWeights()
    both = np.stack([pooled, image_log_odds], axis=1)
    deviations = both.std(axis=0)
    standardised = ((both - both.mean(axis=0)) / deviations).astype(np.float32)
    of_patches, of_image = fit_logistic(standardised, is_anomaly.astype(np.float32), _PENALTY).weights.tolist()
    if of_image <= 0:
        return HeadWeights()
    ratio = min(of_image / of_patches, _MOST) if of_patches > 0 else _MOST
    unit = float(deviations[0] / deviations[1])
    return HeadWeights(unit * ratio, unit * min(ratio, _MOST_SHOWN))


def add_image_head(
    maps: NDArray[np.float32], image_log_odds: ImageLogOdds | None, weight: float
) -> NDArray[np.float32]:
    """Evidence maps n×h×w of the network that has the image head with this weight."""
    return maps if image_log_odds is None else maps + np.float32(weight) * image_log_odds[:, None, None]
