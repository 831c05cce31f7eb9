"""Highest rates of errors that held-out images can carry, and what thresholds did on them."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.errors import PromiseError
from model.manifest import Decisions, Estimate, Outcome
from model.verdict import Thresholds
from training.evaluation.intervals import rate, upper_bound
from training.evaluation.prediction import Prediction

_PLACE: Final = {"accept": 0.0, "review": 0.5, "reject": 1.0}
_NEEDS: Final = {
    "miss rate": "{least:,} defects with no miss",
    "false-reject rate": "{least:,} good images with no false reject",
}


def most_errors(limit: float, images: int, name: str) -> int:
    """The most errors among `images` with which an error rate of at most `limit` is certain to 95 % (exact, one-sided).

    `name`: "miss rate" (images are defects) or "false-reject rate" (they are good).
    Raises PromiseError where even none is too many, saying how many images it takes.
    """
    if upper_bound(0, images) > limit:
        # (1 − limit)^n ≤ 0.05: the chance of seeing no error among n, were the rate at its limit
        least = math.ceil(math.log(0.05) / math.log1p(-limit))
        raise PromiseError(
            f"a {name} under {percent(limit)} needs at least {_NEEDS[name].format(least=least)}; you have {images:,}"
        )
    few, many = 0, images  # upper_bound(few) ≤ limit < upper_bound(many) = 1
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if upper_bound(middle, images) <= limit else (few, middle)
    return few


def outcome(thresholds: Thresholds, probabilities: NDArray[np.float64], is_anomaly: NDArray[np.bool_]) -> Outcome:
    """Decisions on n images with their rates. `probabilities` at the share of defects that the thresholds are for.

    The bounds are exact where the cut wasn't tuned to these images' errors: `Limits` counts from an end, up to a number
    that it knew beforehand (an order statistic: Wilks 1941). Otherwise they flatter it a little.
    """
    defects = count_decisions(thresholds, probabilities[is_anomaly])
    goods = count_decisions(thresholds, probabilities[~is_anomaly])
    return Outcome(
        defects=defects,
        goods=goods,
        miss_rate=rate(defects.accept, defects.images),
        false_reject_rate=rate(goods.reject, goods.images),
        miss_bound=upper_bound(defects.accept, defects.images),
        false_reject_bound=upper_bound(goods.reject, goods.images),
    )


def outcome_of(predictions: Sequence[Prediction]) -> Outcome:
    """What their own thresholds did on these images; with several thresholds the bounds are those of the counts."""
    truth = np.array([prediction.sample.is_anomaly for prediction in predictions])
    made = np.array([_PLACE[prediction.decision] for prediction in predictions])
    return outcome(Thresholds(0.25, 0.5, 0.75), made, truth)


def count_decisions(thresholds: Thresholds, probabilities: NDArray[np.float64]) -> Decisions:
    """How many of these probabilities lead to each decision."""
    accept = int((probabilities < thresholds.review).sum())
    reject = int((probabilities >= thresholds.reject).sum())
    return Decisions(accept, len(probabilities) - accept - reject, reject)


def sentence(result: Outcome) -> str:
    """For people: counts with Wilson's intervals, and what a promise rests on."""
    defects, goods = result.defects, result.goods
    text = (
        f"{defects.accept} of {defects.images:,} defects missed ({_range(result.miss_rate)}), "
        f"{goods.reject} of {goods.images:,} good parts rejected ({_range(result.false_reject_rate)})"
    )
    if defects.review or goods.review:
        text += f", {defects.review} defects and {goods.review} good parts to review"
    return (
        f"{text}. With 95 % certainty at most {percent(result.miss_bound, 1)} of defects are missed, "
        f"and at most {percent(result.false_reject_bound, 1)} of good parts rejected."
    )


def percent(share: float, digits: int | None = None) -> str:
    """0.001 as "0.1 %"; a bound is rounded up, to `digits` decimals."""
    if digits is None:
        return f"{100 * share:g} %"
    return f"{math.ceil(100 * share * 10**digits - 1e-9) / 10**digits:.{digits}f} %"


def _range(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f} %"
