"""Fits the gate: what images look like to the network, and the limits of what is ordinary, on held-out images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.appearance import MAX_DISTANCES, Appearance, unit
from model.drift import Quantity
from model.gate import CHECKS, WATCHED, CheckName, Gate, Limits
from training.evaluation.error_bounds import percent
from training.evaluation.intervals import rate
from training.features.measuring import APPEARANCE, Measures

Features = NDArray[np.float32]
Floats = NDArray[np.float64]
_MOST_IMAGES: Final = 1000
_COMPONENTS: Final = 32
_IMAGES_PER_COMPONENT: Final = 4
_LEAST_VARIANCE: Final = 1e-4
"""Of unit features in all directions together: images that differ by 1 % are alike, however few were seen."""
_SLACK: Final[dict[CheckName, tuple[float, float]]] = {
    "size": (2.0, 0.0), "aspect": (1.05, 0.0), "colour": (1.25, 2.0), "brightness": (1.25, 2.0),
    "contrast": (1.25, 2.0), "clipped": (1.0, 0.05), "sharpness": (1.08, 0.01), "appearance": (1.2, 0.1),
}  # fmt: skip
"""Factor and summand by which limits lie beyond the extremes of the images: what a line changes from day to day
(a third of a stop, JPEG) and a day's training images don't show."""
_SLACK_WITHOUT_DEFECTS: Final = 2.25
"""Factor of the appearance's limit where no image is defective: a large defect looks less like good parts than they
look like each other (measured on capsule and the drawn products)."""
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


def fit_gate(held_out: HeldOutMeasures, odd_rate: float, *, one_size: bool = False) -> Gate:
    """Limits beyond which a share of at most `odd_rate` of such images lies, as far as n of them can tell.

    Each check's limits are the extremes of the images, with slack. An image's score is its largest value between the
    middle (0) and the limits (1) of the other folds' images; all limits are moved out, if need be, to the score's
    conformal quantile (split conformal prediction: Vovk et al. 2005; Bates et al. 2023). So the rate holds for all
    checks together. One image may always lie outside: often it is a wrong one, and would blind the gate.
    `one_size`: an image of another size shows things at another scale, and is odd.
    """
    values, folds = held_out.values, held_out.fold_ids
    slack = _slack(with_defects=bool(held_out.is_anomaly.any()), one_size=one_size)
    scores = np.zeros(len(values))
    for fold in np.unique(folds).tolist():
        inside = folds == fold
        scores[inside] = _scores(values[inside], *_extremes(values[~inside] if (~inside).any() else values, slack))
    count = len(values)
    outside = min(max(1, math.floor(odd_rate * (count + 1)) - 1), count - 1)
    moved = max(1.0, float(np.sort(scores)[count - 1 - outside]))
    middle, low, high = _extremes(values, slack)
    limits = np.stack([middle - moved * (middle - low), middle + moved * (high - middle)], axis=1)
    is_odd, is_anomaly = scores > moved, held_out.is_anomaly
    bound = (outside + 1) / (count + 1)
    return Gate(
        odd_rate=odd_rate,
        odd_bound=bound,
        images=count,
        good_odd=rate(int(is_odd[~is_anomaly].sum()), int((~is_anomaly).sum())) if (~is_anomaly).any() else None,
        defects_odd=rate(int(is_odd[is_anomaly].sum()), int(is_anomaly.sum())) if is_anomaly.any() else None,
        summary=_summary(is_odd, is_anomaly, odd_rate, bound),
        limits={name: _pair(name, *limits[i].tolist()) for i, name in enumerate(CHECKS)},
    )


def _slack(*, with_defects: bool, one_size: bool) -> Floats:
    """Factor and summand of each check's limits, 2×8."""
    slack = np.array([_SLACK[name] for name in CHECKS]).T
    if one_size:
        slack[0, CHECKS.index("size")] = _SLACK["aspect"][0]
    if not with_defects:
        slack[0, APPEARANCE] = _SLACK_WITHOUT_DEFECTS
    return slack


def _extremes(values: Measures, slack: Floats) -> tuple[Floats, Floats, Floats]:
    """Median, and least and greatest value with slack, of each check."""
    factor, summand = slack
    return np.median(values, axis=0), values.min(axis=0) / factor - summand, values.max(axis=0) * factor + summand


def _scores(values: Measures, middle: Floats, low: Floats, high: Floats) -> Floats:
    below = (middle - values) / np.maximum(middle - low, 1e-12)
    below[:, [CHECKS.index(name) for name in _ONE_SIDED]] = 0.0
    above = (values - middle) / np.maximum(high - middle, 1e-12)
    return np.asarray(np.maximum(below, above).max(axis=1))


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
    needed = math.ceil(2 / odd_rate) - 1
    return f"{text} So few images vouch for {percent(bound, 1)} only: {percent(odd_rate)} takes {needed:,}."
