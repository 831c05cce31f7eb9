"""The two levels of a model's picture, from evidence maps of images that it hasn't seen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.evidence import PictureScale
from model.manifest import Figures
from training.intervals import rate

Maps = NDArray[np.float32]
_MAY_PASS = 0.05
"""Share of good images that may show a region."""


def choose_levels(good: Maps, defective: Maps, coverage: Maps) -> PictureScale:
    """e_0 and e_r from held-out evidence maps of good images, n×h×w.

    e_0 is the median place; e_r is the (1−0.05)(n+1)-th smallest of the images' maxima, so that a further good image
    passes it with a probability of at most 5 % (split conformal prediction, Vovk et al. 2005, section 4.1), or the
    largest where n is too small for that (under 19). Where masks are known, as the share of each place that is
    defective (`coverage`, m×h×w, of the maps `defective`), e_r rises to the level whose regions overlap them best
    (pooled IoU). m may be 0.
    """
    peaks = np.sort(good.max(axis=(1, 2)))
    rank = min(len(peaks), math.ceil((1 - _MAY_PASS) * (len(peaks) + 1)))
    dark = float(np.median(good))
    # The next float32 up, since the image that has the level's own value mustn't reach it.
    region = float(np.nextafter(np.float32(max(peaks[rank - 1], dark + 1e-3)), np.float32(np.inf)))
    return PictureScale(dark, _best_overlap(defective, coverage, region))


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


@dataclass(frozen=True)
class Darkness:
    """How dark pictures of good images are, at levels chosen on other images."""

    with_region: int
    images: int
    median: float


def check_darkness(good: Maps, defective: Maps, coverage: Maps, seed: int) -> Darkness | None:
    """Choose the levels on one half of held-out images and look at the good ones of the other half, then swap.

    None where there are fewer than two good images. Places are looked at, not the enlarged picture, whose peaks are a
    little lower.
    """
    if len(good) < 2:
        return None
    rng = np.random.default_rng(seed)
    goods = np.array_split(rng.permutation(len(good)), 2)
    defects = np.array_split(rng.permutation(len(defective)), 2)
    with_region, values = 0, []
    for chosen, looked in ((0, 1), (1, 0)):
        scale = choose_levels(good[goods[chosen]], defective[defects[chosen]], coverage[defects[chosen]])
        others = good[goods[looked]]
        with_region += int((others.max(axis=(1, 2)) >= scale.region).sum())
        values.append(scale(others).ravel())
    return Darkness(with_region, len(good), float(np.median(np.concatenate(values))))


def with_darkness(figures: Figures, checks: Sequence[Darkness | None]) -> Figures:
    """The figures with what was seen of good pictures, over all folds; as they are where some fold has no check."""
    seen = [check for check in checks if check is not None]
    if len(seen) < len(checks):
        return figures
    images = sum(check.images for check in seen)
    median = float(np.average([check.median for check in seen], weights=[check.images for check in seen]))
    share = rate(sum(check.with_region for check in seen), images)
    return replace(figures, good_with_region=share, good_picture_median=median)
