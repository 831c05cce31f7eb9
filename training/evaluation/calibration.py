"""Platt's calibration of log-odds, and the calibration error of probabilities."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from model.errors import DataError
from model.verdict import Calibration
from training.evaluation.intervals import DRAWS, chunks

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
BINS: Final = 15
_LEAST_SLOPE: Final = 1e-6
"""Log-odds per standard deviation of the scores."""
_FAINT: Final = 0.25
_LEAST_FAINT: Final = 10
_NEARLY_ALL: Final = 0.99


def fit_platt(log_odds: Floats, is_anomaly: Bools) -> Calibration:
    """Platt's sigmoid by logistic regression on the log-odds, n, of held-out images.

    The targets are his smoothed ones, (N₊+1)/(N₊+2) and 1/(N₋+2), so that slope and offset are finite where the
    classes don't overlap (Platt 1999, section 2.2); the loss never takes the logarithm of a probability (Lin, Lin &
    Weng 2007, section 3). Images with a higher score than the faintest quarter of the anomalies, ten at least, and than
    nearly all good ones take no part: an anomaly may score as high as it likes, and a sigmoid through all of them is so
    flat that faint ones are missed (docs/experiments.md). What is chosen by its score alone has the same probability at
    each score as the rest. Where a sigmoid through all is the steeper one, since the faint ones score like good images,
    that is taken. A higher score never gives a lower probability: where the data say otherwise, or all scores
    are equal, the slope is the least positive one and every probability is about the share of anomalies.
    Raises DataError unless both classes are there.
    """
    anomalies = int(is_anomaly.sum())
    goods = len(is_anomaly) - anomalies
    if not anomalies or not goods:
        raise DataError("probabilities need both good images and defective ones to be calibrated on")
    if not np.isfinite(log_odds).all():
        raise ValueError("log-odds must be finite")
    targets = np.where(is_anomaly, (anomalies + 1) / (anomalies + 2), 1 / (goods + 2))
    near = _is_near(log_odds, is_anomaly)
    sigmoids = [_sigmoid_through(log_odds[some], targets[some]) for some in (near, np.ones_like(near))]
    slope, offset = max(sigmoids)
    return Calibration(slope, offset, anomalies / len(is_anomaly))


def _sigmoid_through(scores: Floats, targets: Floats) -> tuple[float, float]:
    """Slope and offset of the log-odds with the least cross-entropy from these targets."""
    centre = float(scores.mean())
    spread = float(scores.std()) if np.ptp(scores) > 0 else 1.0
    inputs, mean = (scores - centre) / spread, float(targets.mean())

    def loss(parameters: Floats) -> tuple[float, Floats]:
        """Mean cross-entropy log(1+e^x) − t·x of x = slope·input + offset, and its gradient."""
        x = parameters[0] * inputs + parameters[1]
        error = expit(x) - targets
        gradient = np.array([(error * inputs).mean(), error.mean()])
        return float((np.logaddexp(0.0, x) - targets * x).mean()), gradient

    fitted = minimize(
        loss,
        x0=np.array([_LEAST_SLOPE, np.log(mean / (1 - mean))]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(_LEAST_SLOPE, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    slope = float(fitted.x[0]) / spread
    return slope, float(fitted.x[1]) - slope * centre


def _is_near(log_odds: Floats, is_anomaly: Bools) -> Bools:
    """Which images are near where the classes meet, or on the good side of it."""
    anomalies = np.sort(log_odds[is_anomaly])
    faint = min(len(anomalies), max(_LEAST_FAINT, math.ceil(_FAINT * len(anomalies))))
    highest = max(anomalies[faint - 1], float(np.quantile(log_odds[~is_anomaly], _NEARLY_ALL)))
    return np.asarray(log_odds <= highest)


def calibration_error(probabilities: Floats, is_anomaly: Bools, bins: int = BINS) -> float:
    """Expected calibration error over equal-mass bins, 0..1 (Naeini et al. 2015; equal mass: Nguyen & O'Connor 2015).

    The mean over images of their bin's |mean probability − share of anomalies|. Images of equal probability are spread
    over their bins alike, so that their order doesn't show. With fewer images than bins each is a bin.
    """
    bin_shares = _shares_of_bins(probabilities, bins)
    return float(np.abs((probabilities - is_anomaly) @ bin_shares).sum() / len(probabilities))


def null_calibration_error(
    probabilities: Floats, seed: int, draws: int = DRAWS, bins: int = BINS
) -> tuple[float, float]:
    """Median and 95 % point of the error that these probabilities would have if they were right.

    Labels are redrawn from the probabilities (consistency resampling, Bröcker & Smith 2007).
    """
    rng = np.random.default_rng(seed)
    bin_shares = _shares_of_bins(probabilities, bins)
    count = len(probabilities)
    errors = [
        np.abs((probabilities - (rng.random((size, count)) < probabilities)) @ bin_shares).sum(axis=1) / count
        for size in chunks(draws, count)
    ]
    median, high = np.quantile(np.concatenate(errors), [0.5, 0.95]).tolist()
    return median, high


def _shares_of_bins(probabilities: Floats, bins: int) -> Floats:
    """Share of each image in each bin, n×bins: rows sum to 1."""
    count = len(probabilities)
    _, group = np.unique(probabilities, return_inverse=True)
    bin_of = np.arange(count) * min(bins, count) // count
    shares = np.zeros((group.max() + 1, min(bins, count)))
    np.add.at(shares, (np.sort(group), bin_of), 1.0)
    return np.asarray((shares / shares.sum(axis=1, keepdims=True))[group])
