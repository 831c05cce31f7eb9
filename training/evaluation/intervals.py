"""Confidence intervals of figures measured on a limited number of images."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest

from model.figures import Estimate

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DRAWS = 1000
_AT_ONCE = 2_000_000
"""Elements of the largest array that a bootstrap makes."""


def rate(successes: int, trials: int) -> Estimate:
    """A share with Wilson's 95 % interval (Wilson 1927); 0 to 1 where there were no trials."""
    if trials == 0:
        return Estimate(0.0, 0.0, 1.0)
    interval = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    return Estimate(successes / trials, float(interval.low), float(interval.high))


def upper_bound(successes: int, trials: int) -> float:
    """The exact one-sided 95 % bound on a share (Clopper & Pearson 1934): 1 where all were successes."""
    return 1.0 if successes >= trials else float(beta.ppf(0.95, successes + 1, trials - successes))


def balanced_accuracy(anomalies: Estimate, goods: Estimate) -> Estimate:
    """Mean of the two classes' accuracies, its 95 % interval from theirs (square-and-add, Newcombe 1998, method 10).

    A bootstrap would give no width at all where every prediction was correct.
    """
    value = (anomalies.value + goods.value) / 2
    below = math.hypot(anomalies.value - anomalies.low, goods.value - goods.low) / 2
    above = math.hypot(anomalies.high - anomalies.value, goods.high - goods.value) / 2
    return Estimate(value, max(0.0, value - below), min(1.0, value + above))


def bootstrap(
    statistics: Callable[[Floats], Floats], is_anomaly: Bools, seed: int = 0, draws: int = DRAWS
) -> list[Estimate]:
    """Figures with stratified bootstrap percentile intervals (Efron & Tibshirani 1993, section 13.3).

    `statistics` is given how often each image was drawn, m×n with each class as often as there is of it, and returns
    m×k figures; of all images once, they are the values. An interval is widened to hold its value. It has no width
    where no draw can differ, as for the AUROC of classes that don't overlap.
    """
    values = statistics(np.ones((1, len(is_anomaly))))[0]
    drawn = np.concatenate([statistics(weights) for weights in resampled(is_anomaly, seed, draws)])
    lows, highs = np.quantile(drawn, [0.025, 0.975], axis=0)
    return [
        Estimate(value, min(value, low), max(value, high))
        for value, low, high in zip(values.tolist(), lows.tolist(), highs.tolist(), strict=True)
    ]


def wider(one: Estimate, other: Estimate) -> Estimate:
    """The value of `one`, in the smallest interval that holds both intervals."""
    return Estimate(one.value, min(one.low, other.low), max(one.high, other.high))


def chunks(draws: int, width: int) -> Iterator[int]:
    """Sizes that sum to `draws`, so that an array of size×width stays small."""
    most = max(1, _AT_ONCE // max(1, width))
    yield from (min(most, draws - done) for done in range(0, draws, most))


def resampled(is_anomaly: Bools, seed: int, draws: int) -> Iterator[Floats]:
    rng = np.random.default_rng(seed)
    for count in chunks(draws, len(is_anomaly)):
        weights = np.zeros((count, len(is_anomaly)))
        for members in (np.flatnonzero(is_anomaly), np.flatnonzero(~is_anomaly)):
            picks = rng.integers(len(members), size=(count, len(members))) if len(members) else members[np.newaxis, :0]
            cells = picks + len(members) * np.arange(len(picks))[:, np.newaxis]
            weights[:, members] = np.bincount(cells.ravel(), minlength=count * len(members)).reshape(count, -1)
        yield weights
