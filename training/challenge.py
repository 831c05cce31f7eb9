"""Picks challenge images from labelled ones: those that the version decides rightly, from the surest to the hardest."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from model.challenge import GOOD, passes
from model.errors import DataError
from model.verdict import threshold_log_odds
from training.data.samples import kinds_of
from training.evaluation.prediction import Prediction
from training.progress import Reporter

MARGIN: Final = 0.5
"""Log-odds that a decision must lie from where it would be another: another variant, or machine, then decides alike."""


def pick(predictions: Sequence[Prediction], each: int, say: Reporter) -> list[Prediction]:
    """At most `each` images of every kind, decided rightly, evenly from the surest to the hardest.

    A kind of which there are none is told. Raises DataError where no good image is left, or no defective one.
    """
    picked: list[Prediction] = []
    for kind, count in kinds_of(prediction.sample for prediction in predictions).items():
        right = [each for each in predictions if each.sample.kind == kind and _is_sure(each)]
        right.sort(key=_margin, reverse=True)
        if not right:
            say.line(f"warning: none of {count} images of kind {kind} is decided rightly and surely: it is left out")
        picked += [right[i] for i in sorted({round(i) for i in np.linspace(0, len(right) - 1, min(each, len(right)))})]
    goods = sum(prediction.sample.kind == GOOD for prediction in picked)
    if not 0 < goods < len(picked):
        raise DataError(
            "a challenge needs good images and defective ones that the version decides rightly; there are "
            f"{goods} good and {len(picked) - goods} defective ones"
        )
    return picked


def challenge_files(picked: Sequence[Prediction]) -> dict[str, bytes]:
    """The images' files, as KIND/NAME; NAME is the path in the data, with hyphens for slashes."""
    return {
        f"{sample.kind}/{sample.name.replace('/', '-')}": sample.path.read_bytes()
        for sample in (prediction.sample for prediction in picked)
    }


def _is_sure(prediction: Prediction) -> bool:
    return passes(prediction.sample.kind, prediction.decision) and _margin(prediction) >= MARGIN


def _margin(prediction: Prediction) -> float:
    """Log-odds from where a part begins not to be accepted."""
    return abs(prediction.log_odds + prediction.shift - threshold_log_odds(prediction.thresholds.review))
