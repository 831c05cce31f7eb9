"""Whole images beside their places: what a defect changes everywhere, or changes too little in any one place."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from training.estimators.logistic import Floats, Line, Scale, fit_logistic

Context = NDArray[np.float32]
"""Log-odds of images as wholes, n."""
_PENALTY: Final = 1e-3
_MOST: Final = 0.25
"""Of the context, in deviations for one of the places'. Nearly all that it brings to the verdict it brings with so
little; with more, regions no longer lie on the defect (docs/experiments.md)."""


def fit_context(means: Floats, is_anomaly: NDArray[np.bool_], penalty: float) -> Line:
    """Logistic regression of images, n, on their features' means, n×C."""
    scale = Scale.of(means)
    return fit_logistic(scale(means), is_anomaly.astype(np.float32), penalty).unstandardised(scale)


def choose_weight(places: NDArray[np.float64], context: Context | None, is_anomaly: NDArray[np.bool_]) -> float:
    """How many times the context is to be added to the map whose pooled log-odds, n, are `places`; at least 0.

    Stacking (Wolpert 1992; Ting & Witten 1999, section 3): logistic regression of held-out images on both.
    """
    if context is None or np.ptp(context) == 0 or np.ptp(places) == 0:
        return 0.0
    both = np.stack([places, context], axis=1)
    deviations = both.std(axis=0)
    standardised = ((both - both.mean(axis=0)) / deviations).astype(np.float32)
    of_places, of_context = fit_logistic(standardised, is_anomaly.astype(np.float32), _PENALTY).weights.tolist()
    if of_context <= 0:
        return 0.0
    return float(min(of_context / of_places, _MOST) if of_places > 0 else _MOST) * float(deviations[0] / deviations[1])


def with_context(maps: NDArray[np.float32], context: Context | None, weight: float) -> NDArray[np.float32]:
    """The maps n×h×w as the network that has this context gives them."""
    return maps if context is None else maps + np.float32(weight) * context[:, None, None]
