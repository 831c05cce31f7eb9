"""The two levels of a model's picture, from evidence maps of images that it hasn't seen."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from model.errors import DataError
from model.evidence import HeatmapScale

Maps = NDArray[np.float32]
_MAY_PASS = 0.05
"""Share of good images that may show a region."""
_DOUBT = 0.05
"""Chance that more of them will."""


def choose_heatmap_scale(good: Maps, defective: Maps, coverage: Maps) -> HeatmapScale:
    """e_0 and e_r from held-out evidence maps of good images, n×h×w.

    e_0 is the median place; e_r is the lowest level that is passed by so few of these images that, with 95 % certainty,
    at most 5 % of further good images pass it (exact: an order statistic, Wilks 1941; Vovk 2012, section 3), or the
    largest where n is too small for that (under 59). Where masks are known, as the share of each place that is
    defective (`coverage`, m×h×w, of the maps `defective`), e_r rises to the level whose regions overlap them best
    (pooled IoU). m may be 0.
    Raises DataError where n is 0.
    """
    if not len(good):
        raise DataError(
            "the picture's levels need good images that the network hasn't seen, and there are none: add good images, "
            "or use fewer folds"
        )
    peaks = np.sort(good.max(axis=(1, 2)))
    allowed = max(0, int(binom.ppf(_DOUBT, len(peaks), _MAY_PASS)) - 1)
    dark = float(np.median(good))
    # The next float32 up, since the image that has the level's own value mustn't reach it.
    region = float(np.nextafter(np.float32(max(peaks[-1 - allowed], dark + 1e-3)), np.float32(np.inf)))
    return HeatmapScale(dark, _best_overlap(defective, coverage, region))


def _best_overlap(defective: Maps, coverage: Maps, lowest: float) -> float:
    above = defective[defective >= lowest]
    levels = np.quantile(above, np.linspace(0, 1, 65)).tolist() if len(above) else []
    best, best_overlap = lowest, 0.0
    for level in (lowest, *levels):
        inside = defective >= level
        union = inside.sum() + coverage[~inside].sum()
        overlap = float(coverage[inside].sum() / union) if union else 0.0
        if overlap > best_overlap:
            best, best_overlap = level, overlap
    return best
