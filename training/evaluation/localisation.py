"""Measures whether heatmaps lie on the defects: against masks, at each image's own size."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import label

from model.evidence import interpolate
from model.figures import Localisation
from training.evaluation.intervals import rate
from training.evaluation.prediction import Prediction

LIMIT: Final = 0.3
"""False-positive rate of pixels up to which AUPRO is taken."""
_TOUCHING: Final = np.ones((3, 3), np.bool_)
"""Connectivity of components in masks (as Bergmann et al. 2021) and of regions (model.regions): also at corners."""
_BITS: Final = 18
"""Of a score that are told apart: sign, exponent and nine of the mantissa, a step of 0.2 %."""
_BAND: Final = 1 << 20
"""Scores that are counted at once, so that memory stays small."""

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Histograms:
    """How many pixels of all images have which score: sizes don't depend on how many images there are."""

    elsewhere: Floats = field(default_factory=lambda: np.zeros(1 << _BITS))
    """Pixels that aren't defective, by score, the lowest first."""
    defective: Floats = field(default_factory=lambda: np.zeros(1 << _BITS))
    weights: Floats = field(default_factory=lambda: np.zeros(1 << _BITS))
    """The defective ones again, each as one over the size of its component."""

    def areas(self) -> tuple[float, float]:
        """Pixel AUROC, and AUPRO up to LIMIT, normalised to 0..1 (Bergmann et al. 2021, section 5.2).

        As the threshold falls, each defective pixel begins to count at the false-positive rate of its own score: so
        both areas are means, over defective pixels, of how much of the axis is left from there. Pixels of equal score
        enter along a straight line, as in a ROC curve.
        """
        reached = np.cumsum(self.elsewhere[::-1])[::-1] / self.elsewhere.sum()
        before, after = np.append(reached[1:], 0.0), reached
        auroc = float(np.average(1.0 - (before + after) / 2, weights=self.defective))
        ramp = np.clip(LIMIT - before, 0.0, after - before)  # what of the straight line lies within the limit
        left = np.clip(LIMIT - after, 0.0, None)
        rise = np.divide(ramp * ramp, 2 * (after - before), out=np.zeros_like(ramp), where=after > before)
        return auroc, float(np.average(left + rise, weights=self.weights) / LIMIT)


@dataclass(frozen=True)
class _Compared:
    """One image with a mask."""

    is_hit: bool
    """Whether its brightest pixel lies on the mask."""
    overlaps: list[float]
    """IoU of each component with the region that fits it best."""


def localise(predictions: Sequence[Prediction]) -> Localisation | None:
    """Figures over images whose mask isn't empty, and good ones; None where there are no such masks.

    Each map is enlarged to its image's own size; a good image has that of most masks. Evidence of different folds'
    networks can't be compared; each map's score is on its network's heatmap scale, (E − e_r)/(e_r − e_0), where regions
    begin at 0. What lies outside the region of interest takes no part. In memory is one image at a time.
    """
    histograms, sizes = _Histograms(), Counter[tuple[int, int]]()
    found: list[_Compared] = []
    for prediction in predictions:
        if prediction.sample.mask is None:
            continue
        size = prediction.sample.mask.shape
        scores = _scores(prediction, *size)
        mask = prediction.sample.mask.pixels() & ~np.isneginf(scores)
        if mask.any():
            sizes[size] += 1
            found.append(_compare(scores, mask, histograms))
    if not found:
        return None
    usual = sizes.most_common(1)[0][0]
    for prediction in predictions:
        if not prediction.sample.is_anomaly:
            _count(histograms.elsewhere, _scores(prediction, *usual))
    overlaps = [overlap for each in found for overlap in each.overlaps]
    auroc, aupro = histograms.areas()
    return Localisation(
        images=len(found),
        components=len(overlaps),
        pixel_auroc=auroc,
        aupro=aupro,
        pointing_game=rate(sum(each.is_hit for each in found), len(found)),
        region_iou=float(np.mean(overlaps)),
        component_recall=rate(sum(overlap > 0 for overlap in overlaps), len(overlaps)),
    )


def _scores(prediction: Prediction, height: int, width: int) -> Scores:
    """Of every pixel; −∞ outside the region of interest."""
    scale = prediction.heatmap_scale
    evidence = scale.known(scale.smoothed(prediction.evidence))
    scores = interpolate(
        np.asarray((evidence - scale.region_threshold) / (scale.region_threshold - scale.good_median), np.float32),
        width,
        height,
    )
    outside = np.isneginf(prediction.evidence)
    if not outside.any():
        return scores
    enlarged = Image.fromarray(outside).resize((width, height), Image.Resampling.NEAREST)
    return np.where(np.asarray(enlarged), np.float32(-np.inf), scores)


def _compare(scores: Scores, mask: Mask, histograms: _Histograms) -> _Compared:
    """Hold a map's scores against its mask, which isn't empty, and count them."""
    components, count = label(mask, _TOUCHING)
    regions, others = label(scores >= 0, _TOUCHING)
    of_pixel = components[mask]
    pairs = np.bincount(of_pixel * np.int64(others + 1) + regions[mask], minlength=(count + 1) * (others + 1))
    shared = pairs.reshape(count + 1, others + 1)[1:]  # pixels by component and region, 0 being none
    sizes = shared.sum(axis=1)
    areas = np.bincount(regions[regions > 0], minlength=others + 1)
    unions = sizes[:, np.newaxis] + areas[np.newaxis, 1:] - shared[:, 1:]
    _count(histograms.elsewhere, scores[~mask])
    _count(histograms.defective, scores[mask])
    _count(histograms.weights, scores[mask], 1.0 / sizes[of_pixel - 1])
    return _Compared(
        is_hit=bool(mask.flat[scores.argmax()]),
        overlaps=(shared[:, 1:] / unions).max(axis=1, initial=0.0).tolist(),
    )


def _count(histogram: Floats, scores: Scores, weights: Floats | None = None) -> None:
    """Add pixels, one each or of these `weights`; those of −∞ don't count."""
    flat = scores.ravel()
    for start in range(0, len(flat), _BAND):
        band = np.ascontiguousarray(flat[start : start + _BAND])
        counted = ~np.isneginf(band)
        each = None if weights is None else weights[start : start + _BAND][counted]
        histogram += np.bincount(_bins(band[counted]), each, minlength=len(histogram))


def _bins(scores: Scores) -> NDArray[np.int64]:
    """The scores' places in a histogram: the first bits of floats are in the order of their values, once those of
    negative ones are turned round."""
    bits = (scores + np.float32(0)).view(np.uint32)  # −0 is 0
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return np.asarray(ordered >> (32 - _BITS), np.int64)
