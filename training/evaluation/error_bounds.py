"""Error rates of thresholds on held-out images, and the bounds on them that so many images can carry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from model.errors import ErrorBoundError
from model.figures import Decisions, Estimate
from model.verdict import Decision
from training.evaluation.intervals import rate, upper_bound
from training.evaluation.prediction import Prediction

_NEEDS: Final = {
    "miss rate": "{least:,} defects with no miss",
    "false-reject rate": "{least:,} good images with no false reject",
}


@dataclass(frozen=True)
class ErrorRates:
    """Errors of thresholds on held-out images: a miss is a defect accepted, a false reject a good image rejected."""

    defects: Decisions
    goods: Decisions
    miss_rate: Estimate
    false_reject_rate: Estimate
    miss_bound: float
    """The miss rate lies below it with 95 % confidence (exact, one-sided); 1 where there are no defects."""
    false_reject_bound: float


def max_errors(limit: float, images: int, name: str) -> int:
    """The most errors among `images` with which an error rate is at most `limit` with 95 % confidence (exact,
    one-sided).

    `name`: "miss rate" (images are defects) or "false-reject rate" (they are good).
    Raises ErrorBoundError where even no error is too many, saying how many images it takes.
    """
    if upper_bound(0, images) > limit:
        # (1 − limit)^n ≤ 0.05: the chance of seeing no error among n, were the rate at its limit
        least = math.ceil(math.log(0.05) / math.log1p(-limit))
        raise ErrorBoundError(
            f"a {name} under {percent(limit)} needs at least {_NEEDS[name].format(least=least)}; you have {images:,}"
        )
    few, many = 0, images  # upper_bound(few) ≤ limit < upper_bound(many) = 1
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if upper_bound(middle, images) <= limit else (few, middle)
    return few


def error_rates(decisions: Sequence[Decision], is_anomaly: Sequence[bool]) -> ErrorRates:
    """Error rates on images by what was decided on each.

    The bounds are exact where the threshold wasn't tuned to these images' errors: `ErrorRateLimits` counts from an end,
    up to a number that it knew beforehand (an order statistic: Wilks 1941). Otherwise they are slightly optimistic.
    """
    pairs = list(zip(decisions, is_anomaly, strict=True))
    defects = count_decisions([decision for decision, anomaly in pairs if anomaly])
    goods = count_decisions([decision for decision, anomaly in pairs if not anomaly])
    return ErrorRates(
        defects=defects,
        goods=goods,
        miss_rate=rate(defects.accept, defects.images),
        false_reject_rate=rate(goods.reject, goods.images),
        miss_bound=upper_bound(defects.accept, defects.images),
        false_reject_bound=upper_bound(goods.reject, goods.images),
    )


def error_rates_of(predictions: Sequence[Prediction]) -> ErrorRates:
    """Error rates of the predictions' own thresholds; with several thresholds the bounds are those of the counts."""
    decisions = [prediction.decision for prediction in predictions]
    return error_rates(decisions, [prediction.sample.is_anomaly for prediction in predictions])


def count_decisions(decisions: Sequence[Decision]) -> Decisions:
    """Number of each decision."""
    return Decisions(decisions.count("accept"), decisions.count("review"), decisions.count("reject"))


def summary(rates: ErrorRates) -> str:
    """Counts with Wilson's intervals and exact bounds, as a sentence or two."""
    defects, goods = rates.defects, rates.goods
    text = (
        f"{defects.accept} of {defects.images:,} defects missed ({_range(rates.miss_rate)}), "
        f"{goods.reject} of {goods.images:,} good parts rejected ({_range(rates.false_reject_rate)})"
    )
    if defects.review or goods.review:
        text += f", {defects.review} defects and {goods.review} good parts to review"
    return (
        f"{text}. With 95 % confidence at most {percent(rates.miss_bound, 1)} of defects are missed, "
        f"and at most {percent(rates.false_reject_bound, 1)} of good parts rejected."
    )


def percent(share: float, digits: int | None = None) -> str:
    """0.001 as "0.1 %"; a bound is rounded up, to `digits` decimals."""
    if digits is None:
        return f"{100 * share:g} %"
    return f"{math.ceil(100 * share * 10**digits - 1e-9) / 10**digits:.{digits}f} %"


def _range(estimate: Estimate) -> str:
    return f"{100 * estimate.low:.1f}–{100 * estimate.high:.1f} %"
