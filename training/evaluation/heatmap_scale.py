"""Chooses a model's heatmap scale on evidence maps of images that it hasn't seen."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.stats import binom

from model.errors import DataError
from model.evidence import HeatmapScale, smooth
from training.evaluation.localisation import TOUCHING, Histograms, tally

Maps = NDArray[np.float32]
SMOOTHINGS: Final = (0.0, 1.0, 2.0)
"""Deviations of a Gaussian, in patches, of which one is chosen."""
_MAX_WITH_REGION = 0.05
"""Highest share of good images that show a region."""
_DOUBT = 0.05
"""Chance that more of them will."""
_MAY_LOSE_REGION = 0.05
"""Share of the defects that show a region, which may lose it so that others' regions fit better."""


def choose_heatmap_scale(good: Maps, defective: Maps, coverage: Maps) -> HeatmapScale:
    """Smoothing, e_0 and e_r from held-out evidence maps of good images, n×h×w.

    Smoothing is that of which the maps lie best on the masks, by the sum of pixel AUROC and AUPRO; none without masks.
    e_0 is the median patch; e_r is the lowest threshold that so few of these images reach that, with 95 % confidence,
    at most 5 % of further good images reach it (exact: an order statistic, Wilks 1941; Vovk 2012, section 3), or the
    largest where n is too small for that (under 59). Where masks are known, as the share of each patch that is
    defective (`coverage`, m×h×w, of the maps `defective`), e_r rises to the threshold whose regions overlap them best
    (pooled IoU), as long as next to no defect loses its region by that. m may be 0.
    Raises DataError where n is 0.
    """
    if not len(good):
        raise DataError(
            "the heatmap scale needs good images that the network hasn't seen, and there are none: add good images, "
            "or use fewer folds"
        )
    coverage = np.where(np.isneginf(defective), 0, coverage)  # what doesn't count (`model.roi`) is nobody's defect
    smoothing = _choose_smoothing(good, defective, coverage)
    good, defective = smooth(good, smoothing), smooth(defective, smoothing)
    peaks = np.sort(good.max(axis=(1, 2)))
    allowed = max(0, int(binom.ppf(_DOUBT, len(peaks), _MAX_WITH_REGION)) - 1)
    good_median = float(np.median(good[~np.isneginf(good)]))
    # The next float32 up, since the image that has the threshold's own value mustn't reach it.
    lowest = float(np.nextafter(np.float32(max(peaks[-1 - allowed], good_median + 1e-3)), np.float32(np.inf)))
    return HeatmapScale(good_median, _best_overlap(defective, coverage, lowest), smoothing)


def _choose_smoothing(good: Maps, defective: Maps, coverage: Maps) -> float:
    if not coverage.any():
        return 0.0
    shares = coverage.astype(np.float64)
    of_component = np.zeros_like(shares)  # each patch's share of its defect
    for share, own in zip(shares, of_component, strict=True):
        components, count = label(share > 0, TOUCHING)
        sizes = np.bincount(components.ravel(), share.ravel(), minlength=count + 1)
        inside = components > 0
        own[inside] = share[inside] / sizes[components[inside]]

    def areas(deviation: float) -> float:
        histograms, scores = Histograms(), smooth(defective, deviation).ravel()
        tally(histograms.elsewhere, smooth(good, deviation))
        tally(histograms.elsewhere, scores, 1.0 - shares.ravel())
        tally(histograms.defective, scores, shares.ravel())
        tally(histograms.weights, scores, of_component.ravel())
        return sum(histograms.areas())

    return max(SMOOTHINGS, key=areas)


def _best_overlap(defective: Maps, coverage: Maps, lowest: float) -> float:
    """The region threshold, `lowest` or above, whose regions overlap the masks best."""
    peaks = np.where(coverage > 0, defective, -np.inf).max(axis=(1, 2))
    if not (peaks >= lowest).any():
        return lowest
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
    return best
