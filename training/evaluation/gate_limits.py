"""Fits the gate: what images look like to the network, and the limits of what is ordinary, on held-out images."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.appearance import MAX_DISTANCES, Appearance, unit
from model.drift import Quantity
from model.gate import CHECKS, WATCHED, CheckName, Gate, Limits
from training.data.image_sizes import MOST_STRETCHED
from training.evaluation.error_bounds import percent
from training.evaluation.intervals import rate
from training.features.measuring import APPEARANCE, Measures

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
Extremes = tuple[Floats, Floats, Floats]
"""Median, and least and greatest value with slack, of each check."""
_MOST_IMAGES: Final = 1000
_COMPONENTS: Final = 32
_IMAGES_PER_COMPONENT: Final = 4
_LEAST_VARIANCE: Final = 1e-4
"""Of unit features in all directions together: images that differ by 1 % are alike, however few were seen."""
_SLACK: Final[dict[CheckName, tuple[float, float]]] = {
    "size": (1.25, 0.0), "aspect": (MOST_STRETCHED, 0.0), "colour": (1.25, 2.0), "brightness": (1.25, 2.0),
    "contrast": (1.25, 2.0), "clipped": (1.5, 0.05), "sharpness": (1.08, 0.01), "appearance": (1.2, 0.1),
}  # fmt: skip
"""Factor and summand by which limits lie beyond the extremes of the images: what a line changes from day to day
(a third of a stop, JPEG) and a day's training images don't show."""
_LARGE_DEFECT: Final = 0.25
"""How far a large defect moves an image's features of length 1. Few defects, or none, don't show how large one may be.
Measured on capsule and the drawn products: defects move them by up to 0.24, another product by 0.33 and more."""
_FARTHEST_REACH: Final = 2.0
_FAR: Final = 1.5
"""Score of an image that is so far off that it is likely a wrong one."""
_ONE_SIDED: Final = ("clipped", "appearance")
"""Little of it is never odd."""


@dataclass(frozen=True, eq=False)
class HeldOutMeasures:
    """Values of all checks of images, the appearance by models of other images."""

    values: Measures
    is_anomaly: NDArray[np.bool_]
    fold_ids: NDArray[np.intp]

    @property
    def watched(self) -> dict[Quantity, Floats]:
        """What control charts watch, of the good images."""
        good = self.values[~self.is_anomaly]
        return {name: good[:, CHECKS.index(name)] for name in WATCHED}

    @classmethod
    def concatenate(cls, folds: "Sequence[HeldOutMeasures]") -> "HeldOutMeasures":
        """All of these folds' images."""
        return cls(
            np.concatenate([fold.values for fold in folds]),
            np.concatenate([fold.is_anomaly for fold in folds]),
            np.concatenate([fold.fold_ids for fold in folds]),
        )


def fit_appearance(features: Features) -> Appearance:
    """What images with these features, n×F, look like: principal components of at most 1000 of them.

    The n×n matrix of inner products has the covariance's variances, for any F.
    """
    rows = unit(features[np.linspace(0, len(features) - 1, min(len(features), _MOST_IMAGES)).astype(int)])
    count, width = rows.shape
    mean = rows.mean(axis=0)
    centred = rows - mean
    variances, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64) / max(1, count - 1))
    rank = min(_COMPONENTS, count // _IMAGES_PER_COMPONENT)
    kept = variances[::-1][:rank]
    kept = kept[kept > _LEAST_VARIANCE / width]
    components = centred.T @ vectors[:, ::-1][:, : len(kept)]  # F×r
    components /= np.maximum(np.linalg.norm(components, axis=0), 1e-12)
    beside = max(float(np.clip(variances, 0, None).sum() - kept.sum()), _LEAST_VARIANCE)
    residual = beside / (width - len(kept))
    return Appearance(
        mean, components.T.astype(np.float32), np.maximum(kept, residual).astype(np.float32), residual,
        np.zeros(1, np.float32),
    )  # fmt: skip


def with_held_out(appearance: Appearance, held_out: HeldOutMeasures) -> Appearance:
    """With these images' distances, by which typicality is ranked."""
    distances = np.sort(held_out.values[:, APPEARANCE]).astype(np.float32)
    thinned = distances[np.linspace(0, len(distances) - 1, min(len(distances), MAX_DISTANCES)).astype(int)]
    return replace(appearance, distances=thinned)


def fit_gate(held_out: HeldOutMeasures, appearance: Appearance, odd_rate: float, *, one_size: bool = False) -> Gate:
    """Limits beyond which a share of at most `odd_rate` of such images lies, of good ones as of defective ones, as far
    as n of them can tell.

    Each check's limits are the extremes of the images, with slack. An image's score by a check lies between the middle
    (0) and the limits (1) of the other folds' images. The images whose largest score lies within its class's conformal
    quantile (Mondrian: Vovk et al. 2005; Bates et al. 2023) must lie inside, and each check's limits are moved out as
    far as that takes. One image may lie outside if it is far off: often it is a wrong one, and would blind the gate.
    `one_size`: an image of another size shows things at another scale, and is odd.
    """
    values, is_anomaly = held_out.values, held_out.is_anomaly
    extremes = partial(_extremes, defect=_LARGE_DEFECT / appearance.spread, odd_rate=odd_rate, one_size=one_size)
    scores = _held_out_scores(held_out, extremes)
    classes = [each for each in (np.flatnonzero(~is_anomaly), np.flatnonzero(is_anomaly)) if len(each)]
    by_class = [each[np.argsort(-scores[each].max(axis=1), kind="stable")] for each in classes]
    outside = [_outside(scores[each].max(axis=1), odd_rate) for each in classes]
    inside = np.concatenate([each[count:] for each, count in zip(by_class, outside, strict=True)])
    moved = np.maximum(1.0, scores[inside].max(axis=0))
    middle, low, high = extremes(values, is_anomaly)
    limits = np.stack([middle - moved * (middle - low), middle + moved * (high - middle)], axis=1)
    is_odd = (scores > moved).any(axis=1)
    bound = max((count + 1) / (len(each) + 1) for each, count in zip(classes, outside, strict=True))
    return Gate(
        odd_rate=odd_rate,
        odd_bound=bound,
        images=len(values),
        good_odd=rate(int(is_odd[~is_anomaly].sum()), int((~is_anomaly).sum())) if (~is_anomaly).any() else None,
        defects_odd=rate(int(is_odd[is_anomaly].sum()), int(is_anomaly.sum())) if is_anomaly.any() else None,
        summary=_summary(is_odd, is_anomaly, odd_rate, bound),
        limits={name: _pair(name, *limits[i].tolist()) for i, name in enumerate(CHECKS)},
    )


def _held_out_scores(held_out: HeldOutMeasures, extremes: Callable[[Measures, NDArray[np.bool_]], Extremes]) -> Floats:
    """Each image's, n×8, by the other folds' extremes; by its own where there is one fold."""
    values, folds = held_out.values, held_out.fold_ids
    scores = np.zeros_like(values)
    for fold in np.unique(folds).tolist():
        inside = folds == fold
        known = ~inside if (~inside).any() else inside
        scores[inside] = _scores(values[inside], *extremes(values[known], held_out.is_anomaly[known]))
    return scores


def _outside(scores: Floats, odd_rate: float) -> int:
    """How many images of a class with these scores may lie outside; never all of them."""
    return max(math.floor(odd_rate * (len(scores) + 1)) - 1, int(scores.max() > _FAR and len(scores) > 1))


def _extremes(
    values: Measures, is_anomaly: NDArray[np.bool_], defect: float, odd_rate: float, *, one_size: bool
) -> Extremes:
    """Of these images, each class's as far out as its number takes. A `defect` may move the appearance so far."""
    factor, summand = np.array([_SLACK["aspect" if one_size and name == "size" else name] for name in CHECKS]).T
    middle = np.median(values, axis=0)
    low = high = middle
    for of_class in (values[~is_anomaly], values[is_anomaly]):
        if len(of_class):
            reach = _reach(len(of_class), odd_rate)
            low = np.minimum(low, middle - reach * (middle - of_class.min(axis=0)))
            high = np.maximum(high, middle + reach * (of_class.max(axis=0) - middle))
    low, high = low / factor - summand, high * factor + summand
    good = values[~is_anomaly] if (~is_anomaly).any() else values
    of_good = factor[APPEARANCE] * good[:, APPEARANCE].max() + summand[APPEARANCE]
    high[APPEARANCE] = max(high[APPEARANCE], math.hypot(of_good, defect))
    return middle, low, high


def _reach(count: int, odd_rate: float) -> float:
    """How many times as far from the middle as their own extremes those of 1 / `odd_rate` images lie, where there are
    fewer: in an exponential tail extremes grow with the logarithm of the count (Gumbel 1958)."""
    return min(max(1.0, math.log(1 / odd_rate) / math.log(max(count, 2))), _FARTHEST_REACH)


def _scores(values: Measures, middle: Floats, low: Floats, high: Floats) -> Floats:
    """n×8."""
    below = (middle - values) / np.maximum(middle - low, 1e-12)
    below[:, [CHECKS.index(name) for name in _ONE_SIDED]] = 0.0
    return np.asarray(np.maximum(below, (values - middle) / np.maximum(high - middle, 1e-12)))


def _pair(name: CheckName, low: float, high: float) -> Limits:
    return (0.0 if name in _ONE_SIDED else low, high)


def _summary(is_odd: NDArray[np.bool_], is_anomaly: NDArray[np.bool_], odd_rate: float, bound: float) -> str:
    parts = [
        f"{int(is_odd[of].sum())} of {int(of.sum()):,} {name}"
        for name, of in (("good images", ~is_anomaly), ("defective ones", is_anomaly))
        if of.any()
    ]
    text = (
        f"Limits beyond which at most {percent(odd_rate)} of ordinary images lie. Held out, {' and '.join(parts)} lay "
        "outside."
    )
    if bound <= odd_rate:
        return text
    needed = math.ceil(1 / odd_rate) - 1
    return f"{text} So few images vouch for {percent(bound, 1)} only: {percent(odd_rate)} takes {needed:,} of each."
