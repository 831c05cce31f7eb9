"""Measures whether heatmaps lie on the defects: against masks, at one fixed resolution for every model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from model.evidence import interpolate
from model.figures import Localisation
from training.data.masks import coverage
from training.evaluation.intervals import rate
from training.evaluation.prediction import Prediction

SIZE: Final = 256
"""Side of the square, in pixels, to which maps are enlarged and masks reduced."""
LIMIT: Final = 0.3
"""False-positive rate of pixels up to which AUPRO is taken."""
_TOUCHING: Final = np.ones((3, 3), np.bool_)
"""Connectivity of components in masks (as Bergmann et al. 2021) and of regions (model.regions): also at corners."""

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Defective:
    """Scores and overlaps of one image with a mask."""

    scores: Scores
    """Scores of its defective pixels."""
    weights: NDArray[np.float64]
    """One over the size of each of those pixels' component."""
    is_hit: bool
    """Whether its brightest pixel lies on the mask."""
    overlaps: list[float]
    """IoU of each component with the region that fits it best."""


def localise(predictions: Sequence[Prediction]) -> Localisation | None:
    """Figures over images whose mask isn't empty, and good ones; None where there are no such masks.

    Evidence of different folds' networks can't be compared; each map's score is on its network's heatmap scale,
    (E − e_r)/(e_r − e_0), where regions begin at 0. Takes 256 KiB an image.
    """
    masked = [(prediction, mask) for prediction in predictions if (mask := _mask(prediction)) is not None]
    if not masked:
        return None
    good = [prediction for prediction in predictions if not prediction.sample.is_anomaly]
    elsewhere = np.empty(SIZE * SIZE * (len(good) + len(masked)), np.float32)
    filled = 0
    found = []
    nowhere = np.zeros((SIZE, SIZE), np.bool_)
    for prediction, mask in [*((prediction, nowhere) for prediction in good), *masked]:
        scores = _scores(prediction)
        outside = scores[~mask]
        elsewhere[filled : filled + len(outside)] = outside
        filled += len(outside)
        if mask.any():
            found.append(_compare(scores, mask))
    overlaps = [overlap for each in found for overlap in each.overlaps]
    auroc, aupro = _areas(
        elsewhere[:filled], np.concatenate([each.scores for each in found]), np.concatenate([e.weights for e in found])
    )
    return Localisation(
        size=SIZE,
        images=len(found),
        components=len(overlaps),
        pixel_auroc=auroc,
        aupro=aupro,
        pointing_game=rate(sum(each.is_hit for each in found), len(found)),
        region_iou=float(np.mean(overlaps)),
        component_recall=rate(sum(overlap > 0 for overlap in overlaps), len(overlaps)),
    )


def reduced_mask(share: NDArray[np.float32]) -> Mask:
    """The defective pixels, h×w, where `share` is how much of each is defective (see `training.data.masks.coverage`).

    At least half; of a defect too thin for that anywhere, where there is most of it. Empty if it is.
    """
    return np.asarray((share >= min(0.5, share.max())) & (share > 0))


def _mask(prediction: Prediction) -> Mask | None:
    if prediction.sample.mask is None:
        return None
    mask = reduced_mask(coverage([prediction.sample], SIZE, SIZE)[0])
    return mask if mask.any() else None


def _scores(prediction: Prediction) -> Scores:
    scale = prediction.heatmap_scale
    evidence = scale.known(prediction.evidence)
    return interpolate(
        np.asarray((evidence - scale.region_threshold) / (scale.region_threshold - scale.good_median), np.float32),
        SIZE,
        SIZE,
    )


def _compare(scores: Scores, mask: Mask) -> _Defective:
    components, count = label(mask, _TOUCHING)
    regions, others = label(scores >= 0, _TOUCHING)
    pairs = np.bincount((components * (others + 1) + regions).ravel(), minlength=(count + 1) * (others + 1))
    shared = pairs.reshape(count + 1, others + 1)  # pixels by component and region, 0 being neither
    sizes = shared.sum(axis=1)
    unions = sizes[1:, np.newaxis] + shared.sum(axis=0)[np.newaxis, 1:] - shared[1:, 1:]
    return _Defective(
        scores=scores[mask],
        weights=1.0 / sizes[components[mask]],
        is_hit=bool(mask.flat[scores.argmax()]),
        overlaps=(shared[1:, 1:] / unions).max(axis=1, initial=0.0).tolist(),
    )


def _areas(elsewhere: Scores, defective: Scores, weights: NDArray[np.float64]) -> tuple[float, float]:
    """Pixel AUROC, and AUPRO up to LIMIT, normalised to 0..1 (Bergmann et al. 2021, section 5.2).

    As the threshold falls, each defective pixel begins to count at the false-positive rate of its own score: so both
    areas are means, over defective pixels, of how much of the axis is left from there. Pixels of equal score enter
    along a straight line, as in a ROC curve. Sorts `elsewhere` in place.
    """
    elsewhere.sort()
    before = 1.0 - np.searchsorted(elsewhere, defective, side="right") / len(elsewhere)
    after = 1.0 - np.searchsorted(elsewhere, defective, side="left") / len(elsewhere)
    auroc = float(np.mean(1.0 - (before + after) / 2))
    ramp = np.clip(LIMIT - before, 0.0, after - before)  # what of the straight line lies within the limit
    left = np.clip(LIMIT - after, 0.0, None)
    rise = np.divide(ramp * ramp, 2 * (after - before), out=np.zeros_like(ramp), where=after > before)
    return auroc, float(np.average(left + rise, weights=weights) / LIMIT)
