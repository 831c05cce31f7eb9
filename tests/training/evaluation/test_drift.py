"""Charts of held-out scores: their false alarms are as rare as they say, whatever the scores' distribution."""

import math
from collections.abc import Mapping
from statistics import median

import numpy as np
import pytest
from numpy.typing import NDArray

from model.drift import STEPS_PER_DEVIATION, Chart, Quantity
from model.evidence import HeatmapScale, Pooling
from model.verdict import Calibration, Thresholds, logit, sigmoid
from tests.training.predictions import prediction
from training.estimators.image_head import HeadWeights
from training.evaluation.drift import LEAST, Binned, fit_drift
from training.evaluation.post_processing import PostProcessor
from training.evaluation.prediction import Prediction
from training.evaluation.run_length import average_run_length
from training.synthetic.samples import KIND

Measures = Mapping[Quantity, NDArray[np.float64]]


def predictions(good: int, bad: int = 0, kind: str = "dent", seed: int = 0) -> list[Prediction]:
    rng = np.random.default_rng(seed)
    goods = [prediction("good", sigmoid(value)) for value in rng.normal(-4, 1.5, good).tolist()]
    return goods + [prediction(kind, sigmoid(value)) for value in rng.normal(3, 2, bad).tolist()]


def skewed(count: int, seed: int = 1) -> Measures:
    rng = np.random.default_rng(seed)
    return {
        "brightness": rng.gamma(1.0, 3.0, count),
        "sharpness": rng.standard_t(3, count),
        "appearance": rng.integers(1, 8, count) / 8,  # ties
    }


def run_lengths(
    chart: Chart, values: NDArray[np.float64], limit: int, direction: str, rng: np.random.Generator
) -> float:
    """Mean number of values, drawn from these, until the chart gives an alarm."""
    assert direction in ("up", "down")
    steps = np.array([chart.step(value, "up" if direction == "up" else "down") for value in values.tolist()])
    runs, sums = 1000, np.zeros(1000, int)
    total = alarms = 0
    while alarms < 3000:
        sums = np.maximum(sums + rng.choice(steps, runs), 0)
        total += runs
        ended = sums >= limit
        alarms += int(ended.sum())
        sums[ended] = 0
    return total / alarms


@pytest.mark.parametrize("count", [25, 120, 700])
def test_false_alarms_on_resampled_held_out_scores_are_as_rare_as_set(count: int) -> None:
    """Within 20 %, for scores that are skewed, with heavy tails, and tied."""
    rng = np.random.default_rng(3)
    measures = skewed(count)
    drift = fit_drift(predictions(count), math.inf, measures, 100)
    assert drift.charts.keys() == {"log_odds", *measures}
    assert drift.alarms == 7
    for quantity, values in measures.items():
        chart = drift.charts[quantity]
        for direction, limit in chart.limits.items():
            expected = average_run_length(Binned.of(values).steps(direction), limit)
            assert run_lengths(chart, values, limit, direction, rng) == pytest.approx(expected, rel=0.1)
            assert expected >= 700
            if quantity != "appearance":  # of 7 values alone; more are only as rare as 7 allow
                assert expected < 1.2 * 700, (quantity, direction)


def test_at_the_default_the_run_length_is_that_of_the_markov_chain() -> None:
    values = np.random.default_rng(5).gamma(2.0, 1.0, 300)
    chart = fit_drift(predictions(300), math.inf, {"brightness": values}).charts["brightness"]
    binned = Binned.of(values)
    for direction, limit in chart.limits.items():
        length = average_run_length(binned.steps(direction), limit)
        assert 4 * 100_000 <= length < 1.1 * 4 * 100_000


def test_a_change_is_found_soon() -> None:
    """One standard deviation, whatever the unit: within 60 values, after at most one false alarm in 400,000."""
    rng = np.random.default_rng(6)
    values = rng.normal(120, 4, 300)
    chart = fit_drift(predictions(300), math.inf, {"brightness": values}).charts["brightness"]
    delays = []
    for _ in range(50):
        total, count = 0, 0
        while total < chart.limits["down"]:
            total = max(0, total + chart.step(float(rng.normal(116, 4)), "down"))
            count += 1
        delays.append(count)
    assert 8 < median(delays) < 60


def test_the_log_odds_of_accepted_good_images_are_the_reference() -> None:
    images = predictions(200, bad=50)
    drift = fit_drift(images, -3.0, {})
    chart = drift.charts["log_odds"]
    accepted = [each.log_odds for each in images if each.sample.kind == "good" and each.log_odds < -3.0]
    assert chart.below == -3.0
    assert sum(chart.counts) == len(accepted) < 200
    assert chart.median == pytest.approx(np.median(accepted))
    assert chart.deviation == pytest.approx(np.std(accepted))
    assert drift.rejected_defects(-100.0) == 1.0
    assert drift.rejected_defects(100.0) == 0.0
    share = sum(each.log_odds >= 2.0 for each in images[200:]) / 50
    assert drift.rejected_defects(2.0) == pytest.approx(share, abs=0.021)


def test_one_bad_image_is_no_alarm() -> None:
    """Scores are bounded: however far off, an image is no more than the outermost of 50."""
    chart = fit_drift(predictions(300), math.inf, {"brightness": np.arange(300.0)}).charts["brightness"]
    assert chart.step(1e9, "up") == max(chart.scores) - chart.allowance < 2.4 * STEPS_PER_DEVIATION
    assert chart.limits["up"] > 3 * chart.step(1e9, "up")


@pytest.mark.parametrize(
    ("count", "bad", "below", "quantities"),
    [
        (LEAST - 1, 0, math.inf, set()),
        (LEAST, 0, math.inf, {"log_odds"}),
        (LEAST, LEAST, -math.inf, set()),  # nothing is accepted
    ],
)
def test_few_images_have_no_chart(count: int, bad: int, below: float, quantities: set[str]) -> None:
    drift = fit_drift(predictions(count, bad), below, {"brightness": np.full(count, 7.0)})  # of one value: none
    assert drift.charts.keys() == quantities


def test_synthetic_defects_say_nothing_of_rejects() -> None:
    assert fit_drift(predictions(30, 10, KIND), math.inf, {}).defect_log_odds == []
    assert len(fit_drift(predictions(30, 10), math.inf, {}).defect_log_odds) == 10


def test_an_allowance_is_wider_for_few_images() -> None:
    allowances = [Binned.of(np.arange(float(count))).allowance for count in (25, 100, 10_000)]
    assert allowances == [14, 12, 10]


def test_accepted_below_is_at_the_calibrations_rate() -> None:
    scale = HeatmapScale(0.0, 1.0)
    made = PostProcessor(Pooling(), Calibration(1.0, 0.0, 0.3), Thresholds(0.2, 0.4, 0.6), scale, -2.0, HeadWeights())
    assert made.accepted_below == pytest.approx(logit(0.2) + 2.0)
