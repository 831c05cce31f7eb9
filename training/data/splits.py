"""Divides samples into training and test parts: folds stratified by kind of defect, with groups kept whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from model.errors import DataError
from training.data.samples import GOOD, Sample

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Split:
    """A division of samples: two disjoint sets of indices, together all of them."""

    train: Indices
    test: Indices


def make_folds(samples: Sequence[Sample], folds: int, seed: int) -> list[Split]:
    """`folds` splits in which every sample is tested once and both classes are on both sides.

    Raises DataError where a class is too small, or groups too large, for that.
    """
    if not any(sample.is_anomaly for sample in samples):
        raise DataError(
            "no image is of a defective part, so nothing can be measured on these; `fit --anomalies synthetic` learns "
            "from good images alone, and measures on defects that it makes"
        )
    for name, groups in groups_by_class(samples).items():
        if groups < folds:
            raise DataError(
                f"class {name} has {groups} image(s), or groups of images, but {folds} parts need {folds} of each "
                f"class: add images (or ask for fewer folds)"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    members = [sample.group for sample in samples]
    strata = _strata(samples, folds)
    splits = [Split(train, test) for train, test in splitter.split(np.zeros(len(samples)), strata, members)]
    for part in (part for split in splits for part in (split.train, split.test)):
        if len({samples[i].is_anomaly for i in part}) < 2:
            raise DataError(
                f"some groups are too large for {folds} folds with both classes: use fewer folds or finer groups"
            )
    return splits


def hold_out(samples: Sequence[Sample], share: float, seed: int) -> Split:
    """One split with about `share` of the samples, of every kind, in `test`."""
    return make_folds(samples, max(2, round(1 / share)), seed)[0]


def groups_by_class(samples: Sequence[Sample]) -> dict[str, int]:
    """Number of groups that have an image of each class."""
    return {
        "good": len({sample.group for sample in samples if not sample.is_anomaly}),
        "anomaly": len({sample.group for sample in samples if sample.is_anomaly}),
    }


def _strata(samples: Sequence[Sample], folds: int) -> list[str]:
    """The stratum of each sample: its kind, or the largest kind of defect where its own has fewer images than folds."""
    counts = Counter(sample.kind for sample in samples)
    largest = max((kind for kind in counts if kind != GOOD), key=lambda kind: (counts[kind], kind))
    return [largest if sample.is_anomaly and counts[sample.kind] < folds else sample.kind for sample in samples]
