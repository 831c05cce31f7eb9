"""Chooses a model's heatmap scale on evidence maps of images that it hasn't seen."""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from model.errors import DataError
from model.evidence import HeatmapScale, smooth

Maps = NDArray[np.float32]
SMOOTHINGS: Final = (0.0, 1.0, 2.0)
"""Deviations of a Gaussian, in patches: the first of those that do best is taken."""
_MAX_WITH_REGION = 0.05
"""Highest share of good images that show a region."""
_DOUBT = 0.05
"""Chance that more of them will."""
_MAY_LOSE_REGION = 0.05
"""Share of the defects that show a region, which may lose it so that others' regions fit better."""


def choose_heatmap_scale(good: Maps, defective: Maps, coverage: Maps) -> HeatmapScale:
    """Smoothing, e_0 and e_r from held-out evidence maps of good images, n×h×w.

    e_0 is the median patch; e_r is the lowest threshold that so few of these images reach that, with 95 % confidence,
    at most 5 % of further good images reach it (exact: an order statistic, Wilks 1941; Vovk 2012, section 3), or the
    largest where n is too small for that (under 59). Where masks are known, as the share of each patch that is
    defective (`coverage`, m×h×w, of the maps `defective`), e_r rises to the threshold whose regions overlap them best
    (pooled IoU), as long as next to no defect loses its region by that, and of all smoothings that one is taken whose
    regions overlap them best; without masks none. m may be 0.
    Raises DataError where n is 0.
    """
    if not len(good):
        raise DataError(
            "the heatmap scale needs good images that the network hasn't seen, and there are none: add good images, "
            "or use fewer folds"
        )
    coverage = np.where(np.isneginf(defective), 0, coverage)  # what doesn't count (`model.roi`) is nobody's defect
    smoothings = SMOOTHINGS if coverage.any() else SMOOTHINGS[:1]
    found = {each: _scale(smooth(good, each), smooth(defective, each), coverage) for each in smoothings}
    smoothing = max(found, key=lambda each: found[each][1])
    return replace(found[smoothing][0], smoothing=smoothing)


def _scale(good: Maps, defective: Maps, coverage: Maps) -> tuple[HeatmapScale, float]:
    """Of these maps as they are, and how well regions overlap the masks by it."""
    peaks = np.sort(good.max(axis=(1, 2)))
    allowed = max(0, int(binom.ppf(_DOUBT, len(peaks), _MAX_WITH_REGION)) - 1)
    good_median = float(np.median(good[~np.isneginf(good)]))
    # The next float32 up, since the image that has the threshold's own value mustn't reach it.
    lowest = float(np.nextafter(np.float32(max(peaks[-1 - allowed], good_median + 1e-3)), np.float32(np.inf)))
    region_threshold, overlap = _best_overlap(defective, coverage, lowest)
    return HeatmapScale(good_median, region_threshold), overlap


def _best_overlap(defective: Maps, coverage: Maps, lowest: float) -> tuple[float, float]:
    """The region threshold, `lowest` or above, whose regions overlap the masks best, and their IoU."""
    peaks = np.where(coverage > 0, defective, -np.inf).max(axis=(1, 2))
    if not (peaks >= lowest).any():
        return lowest, 0.0
    highest = np.quantile(peaks[peaks >= lowest], _MAY_LOSE_REGION)
    above = defective[(defective >= lowest) & (defective <= highest)]
    higher = np.quantile(above, np.linspace(0, 1, 65)).tolist() if len(above) else []
    best, best_overlap = lowest, 0.0
    for threshold in (lowest, *higher):
        inside = defective >= threshold
        union = inside.sum() + coverage[~inside].sum()
        overlap = float(coverage[inside].sum() / union) if union else 0.0
        if overlap > best_overlap:
            best, best_overlap = threshold, overlap
    return best, best_overlap
